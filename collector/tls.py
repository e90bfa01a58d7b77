"""TLS for both doors from PEM files, read again when they change; no restart for a new certificate.

With `tls_client_ca` clients must show a certificate of one of its authorities (mutual TLS).
"""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path

import grpc
import structlog

from collector.errors import CollectorStartError
from collector.limits import TOKEN_FILE_CHECK_S
from collector.settings import CollectorSettings

log = structlog.get_logger(__name__)


class CertificateFiles:
    """The PEM files of one server."""

    def __init__(self, settings: CollectorSettings) -> None:
        """Raises CollectorStartError where they cannot be used together."""
        assert settings.tls_certificate is not None
        self._certificate = settings.tls_certificate
        self._key = settings.tls_key or settings.tls_certificate
        self._client_ca = settings.tls_client_ca
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.minimum_version = ssl.TLSVersion.TLSv1_2
        self.context.set_alpn_protocols(["http/1.1"])
        try:
            self._load()
            self._stamp = self._stamps()
            self._grpc_stamp = self._stamp
        except (OSError, ssl.SSLError) as err:
            raise CollectorStartError(
                f"The certificate {self._certificate} cannot be used with key {self._key}: {err}."
            ) from err

    def _load(self) -> None:
        self.context.load_cert_chain(self._certificate, self._key)
        if self._client_ca is not None:
            self.context.load_verify_locations(self._client_ca)
            self.context.verify_mode = ssl.CERT_REQUIRED

    def _stamps(self) -> tuple[int, ...]:
        files: list[Path] = [self._certificate, self._key]
        if self._client_ca is not None:
            files.append(self._client_ca)
        return tuple(f.stat().st_mtime_ns for f in files)

    async def watch(self) -> None:
        """Load changed files into the HTTP server's context, for ever. Half-written ones are tried
        again at the next look; connections go on with the certificate they began with."""
        while True:
            await asyncio.sleep(TOKEN_FILE_CHECK_S)
            self.reload_if_changed()

    def reload_if_changed(self) -> None:
        try:
            stamp = self._stamps()
            if stamp != self._stamp:
                self._load()
                self._stamp = stamp
                log.info("certificate_reloaded", path=str(self._certificate))
        except (OSError, ssl.SSLError) as err:
            log.error("certificate_unusable_old_one_stays", why=str(err))

    def grpc_credentials(self) -> grpc.ServerCredentials:
        """Credentials that look at the files with every handshake."""
        return grpc.dynamic_ssl_server_credentials(
            self._grpc_configuration(), self._fetch, self._client_ca is not None
        )

    def _grpc_configuration(self) -> grpc.ServerCertificateConfiguration:
        pair = (self._key.read_bytes(), self._certificate.read_bytes())
        ca = self._client_ca.read_bytes() if self._client_ca is not None else None
        return grpc.ssl_server_certificate_configuration([pair], root_certificates=ca)

    def _fetch(self) -> grpc.ServerCertificateConfiguration | None:
        """A new configuration, None = nothing has changed."""
        try:
            stamp = self._stamps()
            if stamp == self._grpc_stamp:
                return None
            found = self._grpc_configuration()
        except OSError as err:
            log.error("certificate_unusable_old_one_stays", why=str(err))
            return None
        self._grpc_stamp = stamp
        return found
