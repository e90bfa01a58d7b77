"""Kind of client from the user agent: a few words in order of strength, not a parser.

Monitors and bots come first because they like to call themselves Mozilla. What looks like a browser
but names a web page, a mail address or what it does is a bot too: that is the custom of crawlers.

Measured against ua-parser 1.0.2, which was tried instead (tests/collector/test_clients_peer.py): of
2,118 user agents of crawlers (npm crawler-user-agents 1.60.0) these rules take 71 for people,
ua-parser 148, both together 62, at a quarter of the time; of 5,000 of people (npm user-agents
2.1.198) neither takes one for anything else. ua-parser knows no monitors (kube-probe,
ELB-HealthChecker), command lines or client libraries, which matter more at an API.
"""

from __future__ import annotations

import re

_KINDS = (
    ("monitor", re.compile(
        r"kube-probe|ELB-HealthChecker|GoogleHC|Prometheus|blackbox|pingdom|uptime|statuscake"
        r"|nagios|check_http|site24x7|datadog|newrelic|zabbix|Better Stack|Route 53|HealthCheck",
        re.IGNORECASE)),
    ("bot", re.compile(
        r"bot\b|bot/|crawl|spider|slurp|scrapy|scan|nikto|sqlmap|nuclei|masscan|zgrab|nmap|dirbuster"
        r"|gobuster|wpscan|facebookexternalhit|GPTBot|ClaudeBot|semrush|ahrefs|censys|headless",
        re.IGNORECASE)),
    ("cli", re.compile(r"^(curl|wget|httpie|xh|libwww|lynx)\b|PowerShell|PostmanRuntime|insomnia"
                       r"|^hey/|^wrk|ApacheBench|k6/", re.IGNORECASE)),
    ("mobile", re.compile(
        r"okhttp|CFNetwork|Darwin/|Dalvik|Alamofire|\bDart/|Android|iPhone|iPad|\bMobile\b",
        re.IGNORECASE)),
    ("browser", re.compile(r"Mozilla/|Opera/|Chrome/|Safari/|Firefox/|Edg/", re.IGNORECASE)),
    ("sdk", re.compile(
        r"sdk|python|requests/|httpx|aiohttp|urllib|java|apache-httpclient|go-http-client|axios"
        r"|node|got\b|undici|ruby|faraday|guzzle|php|perl|reqwest|hyper|dotnet|\.NET|grpc|RestSharp"
        r"|spring|feign|client|^[\w.-]+/\d", re.IGNORECASE)),
)  # fmt: skip


_CRAWLER = re.compile(
    r"\+?https?://|www\.|[\w.]+@[\w-]+\.|compatible;(?! ?MSIE)|agent\b|archive|fetch|preview"
    r"|monitor|checker|validator|index",
    re.IGNORECASE,
)
"""In what would be a browser's: how crawlers say who they are. An API client that says it stays
sdk: there it is good manners."""


def client_kind(user_agent: str) -> str:
    """browser, mobile, sdk, cli, bot, monitor or unknown."""
    head = user_agent[:512]
    for kind, pattern in _KINDS:
        if pattern.search(head):
            return "bot" if kind in ("browser", "mobile") and _CRAWLER.search(head) else kind
    return "bot" if _CRAWLER.search(head) else "unknown"
