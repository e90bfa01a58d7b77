"""What senders of OTLP write in their configuration, for the page of formats."""

from __future__ import annotations

DESCRIPTIONS = {
    "otlp_traces": (
        "OTLP spans: gRPC at 4317, HTTP at `/v1/traces` (protobuf or JSON; gzip, deflate, zstd). "
        "Server spans of API calls become requests too."
    ),
    "otlp_logs": (
        "OTLP log records: gRPC at 4317, HTTP at `/v1/logs`. Gateways' access-log records become "
        "requests too."
    ),
    "otlp_metrics": "OTLP metrics: gRPC at 4317, HTTP at `/v1/metrics`.",
}

SNIPPETS = {
    "otlp_traces": """\
# SDKs, any language
OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:4318

# OpenTelemetry Collector
exporters: {otlp_http/gatelens: {endpoint: "http://127.0.0.1:4318"}}

# Kong, plugin opentelemetry (kong.conf: tracing_instrumentations = all, tracing_sampling_rate = 1)
plugins:
  - name: opentelemetry
    config: {traces_endpoint: "http://127.0.0.1:4318/v1/traces"}

# Traefik, traefik.yml
tracing: {otlp: {http: {endpoint: "http://127.0.0.1:4318/v1/traces"}}}

# NGINX, module ngx_otel_module
otel_exporter { endpoint 127.0.0.1:4317; }
otel_trace on;
otel_trace_context propagate;

# Apache APISIX, plugin opentelemetry, conf/config.yaml
plugin_attr: {opentelemetry: {collector: {address: "127.0.0.1:4318"}}}

# Envoy, in the HTTP connection manager, with a cluster gatelens (http2) at 127.0.0.1:4317
tracing:
  provider:
    name: envoy.tracers.opentelemetry
    typed_config:
      "@type": type.googleapis.com/envoy.config.trace.v3.OpenTelemetryConfig
      grpc_service: {envoy_grpc: {cluster_name: gatelens}}
      service_name: edge-envoy

# Tyk, tyk.conf
{"opentelemetry": {"enabled": true, "exporter": "http", "endpoint": "http://127.0.0.1:4318"}}

# Caddy, Caddyfile, with the variable of SDKs above
tracing
""",
    "otlp_logs": """\
# Traefik, traefik.yml
experimental: {otlpLogs: true}
accessLog: {otlp: {http: {endpoint: "http://127.0.0.1:4318/v1/logs"}}}

# Istio, mesh config; then a Telemetry resource with accessLogging.providers [{name: gatelens}]
extensionProviders:
  - name: gatelens
    envoyOtelAls: {service: gatelens.observability.svc.cluster.local, port: 4317}

# Envoy, in the HTTP connection manager; name the values like Istio's JSON log does
access_log:
  - name: envoy.access_loggers.open_telemetry
    typed_config:
      "@type": type.googleapis.com/envoy.extensions.access_loggers.open_telemetry.v3.OpenTelemetryAccessLogConfig
      grpc_service: {envoy_grpc: {cluster_name: gatelens}}
      attributes:
        values:
          - {key: method, value: {string_value: "%REQ(:METHOD)%"}}
          - {key: path, value: {string_value: "%REQ(X-ENVOY-ORIGINAL-PATH?:PATH)%"}}
          - {key: response_code, value: {string_value: "%RESPONSE_CODE%"}}
          - {key: response_flags, value: {string_value: "%RESPONSE_FLAGS%"}}
          - {key: duration, value: {string_value: "%DURATION%"}}
          - {key: authority, value: {string_value: "%REQ(:AUTHORITY)%"}}
          - {key: user_agent, value: {string_value: "%REQ(USER-AGENT)%"}}
          - {key: request_id, value: {string_value: "%REQ(X-REQUEST-ID)%"}}

# Kong Gateway Enterprise 3.13 and later, plugin opentelemetry
plugins:
  - name: opentelemetry
    config: {access_logs: {endpoint: "http://127.0.0.1:4318/v1/logs"}}

# Kafka, as the OpenTelemetry Collector's kafka exporter writes it, in gatelens.toml
[collector]
kafka = ["kafka://broker:9092/otlp_logs", "kafka://broker:9092/otlp_spans"]
""",  # noqa: E501 -- the type name is that long
    "otlp_metrics": """\
# Traefik, traefik.yml
metrics: {otlp: {http: {endpoint: "http://127.0.0.1:4318/v1/metrics"}}}

# Spring Boot, application.properties
management.otlp.metrics.export.url=http://127.0.0.1:4318/v1/metrics

# Kong Gateway Enterprise 3.13 and later, plugin opentelemetry
plugins:
  - name: opentelemetry
    config: {metrics: {endpoint: "http://127.0.0.1:4318/v1/metrics"}}
""",
}
