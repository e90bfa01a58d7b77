"""Native endpoints of other systems, by which their senders work unchanged.

Owns what Loki, Splunk HEC, Elasticsearch, Zipkin, Prometheus, Firehose, syslog and Envoy clients
say and want to hear, and the tasks that go and fetch (scrapes, probes). Everything ends in the
collector's intake as a `Format`; nothing here writes, names or answers questions. Open `api.py` for
the shape of an HTTP endpoint, `translated.py` for how its records become rows, `registry.py` for
the list.
"""
