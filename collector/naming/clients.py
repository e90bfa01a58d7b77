"""Kind of client from the user agent: a few words in order of strength, not a parser.

Monitors and bots come first because they like to call themselves Mozilla. ua-parser was tried
instead: it names browsers and devices, which is more than is asked, but knows no monitors
(kube-probe, ELB-HealthChecker) and takes Java's HTTP client for a spider.
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


def client_kind(user_agent: str) -> str:
    """browser, mobile, sdk, cli, bot, monitor or unknown."""
    head = user_agent[:512]
    for kind, pattern in _KINDS:
        if pattern.search(head):
            return kind
    return "unknown"
