"""Every setting of Scale, read once. The only reader of os.environ; docs/configuration.md tells the same to people."""

from __future__ import annotations

import ipaddress
import os
import shlex
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import TypeVar

from scale_core import mounts
from scale_core.digests import digest_of
from scale_core.errors import ConfigurationError
from scale_core.mounts import Mounts

Number = TypeVar("Number", int, float)
SECRET_PREFIX = "SCALE_SECRET_"  # noqa: S105 - no secret: of variables that workspaces may name as their credentials
CHECKOUT = Path(__file__).resolve().parent.parent
ROLES = ("viewer", "operator", "admin")  # those of the domain, which the launcher may not know


@dataclass(frozen=True)
class Settings:
    """Values of the SCALE_* variables. Durations are seconds, memory MiB."""

    home: Path
    host: str = "127.0.0.1"
    port: int = 8000
    flower_host: str = "127.0.0.1"
    flower_port: int = 0
    flower_user: str = ""
    flower_password: str = field(default="", repr=False)
    access_control: str = "auto"  # on, off
    trusted_proxies: int = 0
    session_idle_s: float = 3600.0
    session_longest_s: float = 12 * 3600.0
    oidc_issuer: str = ""
    oidc_client_id: str = ""
    oidc_client_secret: str = field(default="", repr=False)
    oidc_scope: str = "openid profile"
    oidc_name_claim: str = "preferred_username"
    oidc_role_claim: str = "roles"
    oidc_roles: Mapping[str, str] = field(default_factory=dict)
    database_url: str = field(default="", repr=False)
    broker_url: str = field(default="", repr=False)
    mesos_master: str = ""
    mesos_role: str = "*"
    mesos_principal: str = ""
    mesos_secret: str = field(default="", repr=False)
    framework_name: str = "Scale"
    framework_failover_s: float = 7 * 24 * 3600
    executor_command: str = ""
    executor_cpus: float = 0.1
    executor_mem: float = 64.0
    devcluster_port: int = 5050
    devcluster_agent_port: int = 5051
    allow_privileged: bool = False
    node_allow_privileged: bool = False  # as the node itself says; where it says nothing, as above
    privileged_images: tuple[str, ...] = ()  # their digests; none: all that are named by one
    docker_network: str = "none"
    node_network: str = "none"  # the same
    node_gpus: tuple[str, ...] | None = None  # None: those that the machine has
    docker_pull_timeout_s: float = 1800.0
    docker_force_pull: bool = False
    docker_read_only: bool = True
    docker_paths: Mapping[str, str] = field(default_factory=dict)
    job_pids: int = 4096
    job_log_mib: float = 1024.0
    executor_idle_s: float = 600.0
    devcluster_cpus: float = 0.0  # 0: what the machine has
    devcluster_mem: float = 0.0
    devcluster_disk: float = 0.0
    mounts: Mapping[str, str] = field(default_factory=dict)
    nfs_exports: tuple[str, ...] = ()
    nfs_root: Path = Path("/run/scale/nfs")
    host_paths: tuple[str, ...] = ()  # none: everywhere but in the operating system's directories
    remote_networks: tuple[IPv4Network | IPv6Network, ...] = ()  # none: all but this machine, links and clouds' own
    secrets_dir: str = "/run/secrets"
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)  # the SCALE_SECRET_* variables
    strike_scan_s: float = 5.0
    strike_inotify: bool = True
    sweep_s: float = 5.0
    keep_logs_days: float = 30.0  # 0: for ever, as in the other four
    keep_events_days: float = 365.0
    keep_metrics_days: float = 1825.0
    keep_load_days: float = 90.0
    keep_audit_days: float = 1825.0
    offer_hold_s: float = 5.0
    reserve_after_s: float = 60.0
    reconcile_s: float = 60.0
    timeout_grace_s: float = 30.0
    node_error_rate: float = 0.5
    node_error_window_s: float = 60.0
    node_error_minimum: int = 5
    node_probe_s: float = 30.0
    retry_base_s: float = 5.0
    retry_cap_s: float = 300.0
    log_level: str = "INFO"
    log_format: str = "line"
    history_dir: str = ""
    gunicorn_workers: int = 2
    api_statement_s: float = 60.0
    worker_concurrency: int = 2

    @classmethod
    def from_environ(cls, environ: Mapping[str, str] | None = None) -> Settings:
        """Read SCALE_* variables; raises ConfigurationError naming the variable and the fix."""
        env = os.environ if environ is None else environ
        home = Path(env.get("SCALE_HOME") or CHECKOUT / "var").expanduser().resolve()
        checkout, python = shlex.quote(str(CHECKOUT)), shlex.quote(sys.executable)
        default_executor = f"cd {checkout} && exec {python} -m scale_worker.executor"
        nfs_exports = _exports(env.get("SCALE_NFS_EXPORTS", ""))
        nfs_root = Path(env.get("SCALE_NFS_ROOT") or cls.nfs_root)
        host_paths = parse_host_paths(env.get("SCALE_HOST_PATHS", ""))
        return cls(
            home=home,
            host=env.get("SCALE_HOST") or cls.host,
            port=_number(env, "SCALE_PORT", cls.port, int),
            flower_host=env.get("SCALE_FLOWER_HOST") or cls.flower_host,
            flower_port=_number(env, "SCALE_FLOWER_PORT", 0, int),
            flower_user=env.get("SCALE_FLOWER_USER", ""),
            flower_password=_secret(env, "SCALE_FLOWER_PASSWORD"),
            access_control=_choice(env, "SCALE_ACCESS_CONTROL", ("auto", "on", "off")),
            trusted_proxies=_number(env, "SCALE_TRUSTED_PROXIES", 0, int),
            session_idle_s=_number(env, "SCALE_SESSION_IDLE_S", cls.session_idle_s, float),
            session_longest_s=_number(env, "SCALE_SESSION_LONGEST_S", cls.session_longest_s, float),
            oidc_issuer=_issuer(env.get("SCALE_OIDC_ISSUER", "")),
            oidc_client_id=env.get("SCALE_OIDC_CLIENT_ID", ""),
            oidc_client_secret=_secret(env, "SCALE_OIDC_CLIENT_SECRET"),
            oidc_scope=env.get("SCALE_OIDC_SCOPE") or cls.oidc_scope,
            oidc_name_claim=env.get("SCALE_OIDC_NAME_CLAIM") or cls.oidc_name_claim,
            oidc_role_claim=env.get("SCALE_OIDC_ROLE_CLAIM") or cls.oidc_role_claim,
            oidc_roles=parse_roles(env.get("SCALE_OIDC_ROLES", "")),
            database_url=_database_url(env.get("SCALE_DATABASE_URL", "")),
            broker_url=env.get("SCALE_BROKER_URL", ""),
            mesos_master=_masters(env.get("SCALE_MESOS_MASTER", "")),
            mesos_role=env.get("SCALE_MESOS_ROLE") or cls.mesos_role,
            mesos_principal=env.get("SCALE_MESOS_PRINCIPAL", ""),
            mesos_secret=_secret(env, "SCALE_MESOS_SECRET"),
            framework_name=env.get("SCALE_FRAMEWORK_NAME") or cls.framework_name,
            framework_failover_s=_number(env, "SCALE_FRAMEWORK_FAILOVER_S", cls.framework_failover_s, float),
            executor_command=env.get("SCALE_EXECUTOR_COMMAND") or default_executor,
            executor_cpus=_number(env, "SCALE_EXECUTOR_CPUS", cls.executor_cpus, float),
            executor_mem=_number(env, "SCALE_EXECUTOR_MEM", cls.executor_mem, float),
            devcluster_port=_number(env, "SCALE_DEVCLUSTER_PORT", cls.devcluster_port, int),
            devcluster_agent_port=_number(env, "SCALE_DEVCLUSTER_AGENT_PORT", cls.devcluster_agent_port, int),
            allow_privileged=_switch(env, "SCALE_ALLOW_PRIVILEGED"),
            privileged_images=parse_digests(env.get("SCALE_PRIVILEGED_IMAGES", "")),
            node_allow_privileged=_switch(env, "SCALE_NODE_ALLOW_PRIVILEGED", env.get("SCALE_ALLOW_PRIVILEGED") or "0"),
            docker_network=env.get("SCALE_DOCKER_NETWORK") or cls.docker_network,
            node_network=env.get("SCALE_NODE_NETWORK") or env.get("SCALE_DOCKER_NETWORK") or cls.docker_network,
            node_gpus=_names(env, "SCALE_NODE_GPUS"),
            docker_pull_timeout_s=_number(env, "SCALE_DOCKER_PULL_TIMEOUT_S", cls.docker_pull_timeout_s, float),
            docker_force_pull=_switch(env, "SCALE_DOCKER_FORCE_PULL"),
            docker_read_only=_switch(env, "SCALE_DOCKER_READ_ONLY", default="1"),
            docker_paths=parse_paths(env.get("SCALE_DOCKER_PATHS", "")),
            job_pids=_number(env, "SCALE_JOB_PIDS", cls.job_pids, int),
            job_log_mib=_number(env, "SCALE_JOB_LOG_MIB", cls.job_log_mib, float),
            executor_idle_s=_number(env, "SCALE_EXECUTOR_IDLE_S", cls.executor_idle_s, float),
            devcluster_cpus=_number(env, "SCALE_DEVCLUSTER_CPUS", 0.0, float),
            devcluster_mem=_number(env, "SCALE_DEVCLUSTER_MEM", 0.0, float),
            devcluster_disk=_number(env, "SCALE_DEVCLUSTER_DISK", 0.0, float),
            mounts=Mounts(parse_mounts(env.get("SCALE_MOUNTS", "")), nfs_exports, nfs_root, host_paths),
            nfs_exports=nfs_exports,
            nfs_root=nfs_root,
            host_paths=host_paths,
            remote_networks=parse_networks(env.get("SCALE_REMOTE_NETWORKS", "")),
            secrets_dir=env.get("SCALE_SECRETS_DIR") or cls.secrets_dir,
            secrets={name: value for name, value in env.items() if name.startswith(SECRET_PREFIX)},
            strike_scan_s=_number(env, "SCALE_STRIKE_SCAN_S", cls.strike_scan_s, float),
            strike_inotify=_switch(env, "SCALE_STRIKE_INOTIFY", default="1"),
            sweep_s=_number(env, "SCALE_SWEEP_S", cls.sweep_s, float),
            keep_logs_days=_number(env, "SCALE_KEEP_LOGS_DAYS", cls.keep_logs_days, float),
            keep_events_days=_number(env, "SCALE_KEEP_EVENTS_DAYS", cls.keep_events_days, float),
            keep_metrics_days=_number(env, "SCALE_KEEP_METRICS_DAYS", cls.keep_metrics_days, float),
            keep_load_days=_number(env, "SCALE_KEEP_LOAD_DAYS", cls.keep_load_days, float),
            keep_audit_days=_number(env, "SCALE_KEEP_AUDIT_DAYS", cls.keep_audit_days, float),
            offer_hold_s=_number(env, "SCALE_OFFER_HOLD_S", cls.offer_hold_s, float),
            reserve_after_s=_number(env, "SCALE_RESERVE_AFTER_S", cls.reserve_after_s, float),
            node_error_rate=_number(env, "SCALE_NODE_ERROR_RATE", cls.node_error_rate, float),
            node_error_window_s=_number(env, "SCALE_NODE_ERROR_WINDOW_S", cls.node_error_window_s, float),
            node_error_minimum=_number(env, "SCALE_NODE_ERROR_MINIMUM", cls.node_error_minimum, int),
            node_probe_s=_number(env, "SCALE_NODE_PROBE_S", cls.node_probe_s, float),
            timeout_grace_s=_number(env, "SCALE_TIMEOUT_GRACE_S", cls.timeout_grace_s, float),
            retry_base_s=_number(env, "SCALE_RETRY_BASE_S", cls.retry_base_s, float),
            retry_cap_s=_number(env, "SCALE_RETRY_CAP_S", cls.retry_cap_s, float),
            reconcile_s=_number(env, "SCALE_RECONCILE_S", cls.reconcile_s, float),
            log_level=(env.get("SCALE_LOG_LEVEL") or cls.log_level).upper(),
            log_format=_choice(env, "SCALE_LOG_FORMAT", ("line", "json")),
            history_dir=env.get("SCALE_HISTORY_DIR", ""),
            gunicorn_workers=_number(env, "SCALE_API_WORKERS", cls.gunicorn_workers, int),
            api_statement_s=_number(env, "SCALE_API_STATEMENT_S", cls.api_statement_s, float),
            worker_concurrency=_number(env, "SCALE_WORKER_CONCURRENCY", cls.worker_concurrency, int),
        )

    def require(self, *names: str) -> None:
        """Raise ConfigurationError unless each named setting has a value."""
        for name in names:
            if not getattr(self, name):
                raise ConfigurationError(
                    f"SCALE_{name.upper()} is not set. script/server sets it for the embedded parts; "
                    "a process started by hand needs it in its environment"
                )


def parse_mounts(text: str) -> dict[str, str]:
    """SCALE_MOUNTS: ``host:/remote/path=/local/path`` pairs separated by semicolons.

    A Strike or an nfs workspace whose mount begins with the left side is found under the right side on this machine.
    """
    mounts = {}
    for pair in filter(None, (part.strip() for part in text.split(";"))):
        remote, separator, local = pair.partition("=")
        if not separator or ":" not in remote or not local.startswith("/"):
            raise ConfigurationError(f"SCALE_MOUNTS: {pair!r} is not of the form host:/remote/path=/local/path")
        mounts[remote.rstrip("/")] = local.rstrip("/") or "/"
    return mounts


def parse_host_paths(text: str) -> tuple[str, ...]:
    """SCALE_HOST_PATHS: absolute paths separated by semicolons."""
    paths = tuple(part.strip() for part in text.split(";") if part.strip())
    for path in paths:
        if not path.startswith("/") or ".." in Path(path).parts:
            raise ConfigurationError(f"SCALE_HOST_PATHS: {path!r} is not an absolute path")
    return paths


def parse_networks(text: str) -> tuple[IPv4Network | IPv6Network, ...]:
    """SCALE_REMOTE_NETWORKS: networks such as ``10.1.0.0/16``, or single addresses, separated by commas."""
    networks = []
    for part in filter(None, (part.strip() for part in text.split(","))):
        try:
            networks.append(ipaddress.ip_network(part))
        except ValueError as error:
            raise ConfigurationError(f"SCALE_REMOTE_NETWORKS: {error}") from None
    return tuple(networks)


def parse_digests(text: str) -> tuple[str, ...]:
    """SCALE_PRIVILEGED_IMAGES: the digests of ``NAME@sha256:…``, separated by commas."""
    digests = []
    for part in filter(None, (part.strip() for part in text.split(","))):
        digest = digest_of(part)
        if digest is None:
            raise ConfigurationError(f"SCALE_PRIVILEGED_IMAGES: {part!r} is not of the form NAME@sha256:DIGEST")
        digests.append(digest)
    return tuple(digests)


def _exports(text: str) -> tuple[str, ...]:
    try:
        return mounts.parse_exports(text)
    except ValueError as error:
        raise ConfigurationError(f"SCALE_NFS_EXPORTS: {error}") from None


def parse_paths(text: str) -> dict[str, str]:
    """SCALE_DOCKER_PATHS: ``/path/here=/path/there`` pairs separated by semicolons: for an executor in a container,
    where the machine of the Docker Engine has what the executor sees."""
    paths = {}
    for pair in filter(None, (part.strip() for part in text.split(";"))):
        here, separator, there = pair.partition("=")
        if not separator or not here.startswith("/") or not there.startswith("/"):
            raise ConfigurationError(f"SCALE_DOCKER_PATHS: {pair!r} is not of the form /path/here=/path/there")
        paths[here.rstrip("/")] = there.rstrip("/")
    return paths


def parse_roles(text: str) -> dict[str, str]:
    """SCALE_OIDC_ROLES: ``value=role`` pairs separated by semicolons; the value ``*`` is whatever the claim says."""
    roles = {}
    for pair in filter(None, (part.strip() for part in text.split(";"))):
        value, separator, role = (part.strip() for part in pair.rpartition("="))
        if not separator or not value or role not in ROLES:
            raise ConfigurationError(f"SCALE_OIDC_ROLES: {pair!r} is not of the form value=role ({', '.join(ROLES)})")
        roles[value] = role
    return roles


def _issuer(url: str) -> str:
    """Over TLS, but on this machine."""
    if not url:
        return ""
    scheme, _, rest = url.partition("://")
    is_local = rest.split("/")[0].rpartition(":")[0] in ("127.0.0.1", "localhost")
    if not rest or (scheme != "https" and not (scheme == "http" and is_local)):
        raise ConfigurationError(f"SCALE_OIDC_ISSUER: {url!r} must begin with https://")
    return url


def _choice(env: Mapping[str, str], name: str, choices: tuple[str, ...]) -> str:
    """The first choice is the default."""
    text = env.get(name, "").strip().lower() or choices[0]
    if text not in choices:
        raise ConfigurationError(f"{name}={text!r} is none of {', '.join(choices)}")
    return text


def _number(env: Mapping[str, str], name: str, default: Number, kind: type[Number]) -> Number:
    text = env.get(name, "").strip()
    if not text:
        return default
    try:
        value = kind(text)
    except ValueError:
        raise ConfigurationError(f"{name}={text!r} is not a number") from None
    if value < 0:
        raise ConfigurationError(f"{name}={text!r} must not be negative")
    return value


def _switch(env: Mapping[str, str], name: str, default: str = "0") -> bool:
    text = (env.get(name, "").strip() or default).lower()
    if text not in ("0", "1", "false", "true", "no", "yes"):
        raise ConfigurationError(f"{name}={text!r} is neither 0 nor 1")
    return text in ("1", "true", "yes")


def _names(env: Mapping[str, str], name: str) -> tuple[str, ...] | None:
    """Names separated by commas; None when unset, and none of them for ``none``."""
    text = env.get(name, "").strip()
    names = tuple(part.strip() for part in text.split(",") if part.strip())
    if len(set(names)) < len(names):
        raise ConfigurationError(f"{name}={text!r} names one twice")
    return () if text == "none" else names or None


def _secret(env: Mapping[str, str], name: str) -> str:
    """The value of NAME, or the content of the file that NAME_FILE names."""
    path = env.get(f"{name}_FILE")
    if not path:
        return env.get(name, "")
    try:
        return Path(path).read_text().strip()
    except OSError as error:
        raise ConfigurationError(f"{name}_FILE: {error}") from error


def _masters(text: str) -> str:
    """host:port, several of them separated by commas, or zk://host:port,.../path."""
    text = text.strip()
    scheme, separator, rest = text.partition("://")
    if separator:
        if scheme not in {"zk", "zoo"} or "/" not in rest:
            raise ConfigurationError(f"SCALE_MESOS_MASTER: {text!r} is not of the form zk://host:port,host:port/path")
        return text
    for master in filter(None, (part.strip() for part in text.split(","))):
        host, _, port = master.partition(":")
        if not host or (port and not (port.isdecimal() and 0 < int(port) < 65536)) or master.endswith(":"):
            raise ConfigurationError(f"SCALE_MESOS_MASTER: {master!r} is not of the form host:port")
    return text


def _database_url(url: str) -> str:
    """SQLAlchemy's spelling of a PostgreSQL URL; plain postgres:// and postgresql:// are taken too."""
    if not url:
        return ""
    scheme, separator, rest = url.partition("://")
    if not separator or scheme.split("+")[0] not in ("postgres", "postgresql", "postgis"):
        raise ConfigurationError("SCALE_DATABASE_URL must begin with postgresql://")
    return f"postgresql+psycopg2://{rest}"
