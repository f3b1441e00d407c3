"""Job types with an image: one container per execution, through the Docker SDK's lower level to spare API calls."""

from __future__ import annotations

import logging
import os
import re
import socket
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import docker
from docker.errors import APIError, DockerException, ImageNotFound
from docker.transport import UnixHTTPAdapter
from docker.types import DeviceRequest, Mount
from docker.utils import parse_repository_tag
from requests.exceptions import RequestException
from urllib3.exceptions import HTTPError

from scale_core.digests import may_be_privileged
from scale_core.settings import Settings
from scale_worker.executor.cancel import Cancellation
from scale_worker.executor.cgroups import Account, can_account
from scale_worker.executor.failures import DOCKER_TASK_LAUNCH, GPU, IMAGE_PULL, Failed
from scale_worker.executor.gpus import LABEL as GPUS_LABEL
from scale_worker.executor.processes import Ended

WORKSPACES_DIRECTORY = "/scale/workspace_mounts"
MIN_MEM = 6.0  # MiB; engines refuse less
JOB_UID = 7498  # has no privileges; the documentation's user for algorithms
CALL_TIMEOUT_S = 120.0
_KEPT_CONNECTIONS = 64  # while nobody uses them
_STREAM_CHUNK = 64 * 1024
_SLOT_LOOK_S = 1.0
_PROGRESS_S = 2.0
_KILLED = 128 + 9
_AT_LIMIT = 0.97  # of the memory limit: who was killed with so much was killed for it
# What engines without the NVIDIA runtime, and the runtime itself, say of a request for GPUs.
_NO_GPUS = re.compile(r"could not select device driver|nvidia-container|nvml error|unknown device", re.IGNORECASE)
# docker-init says so on stderr when the program that it should start does not exist or may not be executed.
_NOT_STARTED = re.compile(rb"^\[FATAL tini \(\d+\)\] exec (.*) failed: (.*)$", re.MULTILINE)

log = logging.getLogger(__name__)


def starts_at_once() -> int:
    """How many containers are created and started at a time.

    Starting one is CPU-bound in the engine, so more gain nothing, and hundreds at once have locked engines up (20.10).
    """
    return max(4, 2 * (os.cpu_count() or 1))


def container_name(task_id: str) -> str:
    """The name of a task's container, in the few characters that engines allow."""
    return f"scale-{re.sub('[^a-zA-Z0-9_.-]', '_', task_id)}"


@dataclass(frozen=True)
class Bind:
    """A path of this machine inside a container."""

    source: str
    target: str
    read_only: bool = True


@dataclass(frozen=True)
class ContainerJob:
    """What to run: `command` replaces the image's ENTRYPOINT unless it is empty; cpus are shares, mem is MiB."""

    name: str
    image: str
    command: Sequence[str]
    arguments: Sequence[str]
    variables: dict[str, str]
    labels: dict[str, str]
    binds: Sequence[Bind]
    cpus: float
    mem: float
    privileged: bool
    stdout: Path
    stderr: Path
    cgroup_parent: str | None = None
    gpus: Sequence[str] = ()


class _OneEngine(UnixHTTPAdapter):
    """One pool of connections for all calls. The SDK's own makes one for each address, and each container has several:
    every call would open a connection, and making pools took half of the CPU that a container costs here.
    """

    def get_connection(self, url: str | bytes, proxies: Any = None) -> Any:
        return super().get_connection("http+docker://localhost", proxies)


class _Client(docker.APIClient):
    """The SDK attaches and pulls without a time-out; here no call is without: an engine that hangs must hold up no job.

    Both limits are seconds without a byte. An attached stream is given up by its own rules.
    """

    _custom_adapter: Any

    def __init__(self, call_timeout_s: float, pull_timeout_s: float) -> None:
        self._pull_timeout_s = pull_timeout_s
        options: dict[str, Any] = {"timeout": call_timeout_s, "max_pool_size": _KEPT_CONNECTIONS}
        super().__init__(version="auto", **options, **docker.utils.kwargs_from_env())
        if _is_local(self):
            self._custom_adapter = _OneEngine(self._custom_adapter.socket_path, **options)
            self.mount("http+docker://", self._custom_adapter)
            self.trust_env = False  # it is looked up for each call, and no proxy is on the way to a socket

    def send(self, request: Any, **options: Any) -> Any:
        if options.get("timeout") is None:
            options["timeout"] = self._pull_timeout_s if "/images/create" in request.url else self.timeout
        return super().send(request, **options)


class Engine:
    """The node's Docker Engine. It is looked for when first needed, so a node without one can run plain commands."""

    def __init__(self, settings: Settings, call_timeout_s: float = CALL_TIMEOUT_S) -> None:
        self._settings = settings
        self._call_timeout_s = call_timeout_s  # an engine that hangs fails the job, which is tried again
        self._lock = threading.Lock()
        self._api: Any = None
        self._can_account: bool | None = None
        self._digests: dict[str, str] = {}
        self._starting = threading.BoundedSemaphore(starts_at_once())

    def run(self, job: ContainerJob, cancel: Cancellation) -> Ended:
        """Run a container until it ends or `cancel` ends it; it is removed in any case.

        Raises Failed when it cannot be started: no engine, no image, no such program, privileges not allowed.
        """
        if job.privileged:
            self._require_privileges(job.image)
        api = self.api()
        account = self._account(api, job)
        if account is not None:
            job = replace(job, cgroup_parent=account.parent)
        try:
            ended = self._run(api, job, cancel)
        finally:
            cpu_s, mem_peak = account.close() if account is not None else (None, None)
        # an engine misses why the kernel killed a container when the container is gone before it looks
        at_limit = mem_peak is not None and mem_peak >= _AT_LIMIT * max(job.mem, MIN_MEM)
        is_killed_for_it = ended.exit_code == _KILLED and at_limit and cancel.reason is None
        return replace(
            ended, cpu_s=cpu_s, mem_peak=mem_peak, is_out_of_memory=ended.is_out_of_memory or is_killed_for_it
        )

    def _require_privileges(self, image: str) -> None:
        """A digest stands for what was looked at; what a tag stands for, whoever may push decides. Raises Failed."""
        if not self._settings.node_allow_privileged:
            reason = "set SCALE_NODE_ALLOW_PRIVILEGED=1 for its agent to allow"
            raise Failed(DOCKER_TASK_LAUNCH, f"this node runs no privileged containers: {reason}")
        if may_be_privileged(image, self._settings.privileged_images):
            return
        fix = "name it by its digest, NAME@sha256:…"
        if self._settings.privileged_images:
            fix += ", which SCALE_PRIVILEGED_IMAGES must have"
        raise Failed(DOCKER_TASK_LAUNCH, f"the image {image} may not run privileged: {fix}")

    def _account(self, api: Any, job: ContainerJob) -> Account | None:
        """None where what containers used cannot be known: cgroups of version 2, an engine elsewhere."""
        if self._can_account is None:
            try:
                self._can_account = can_account() and api.info().get("CgroupDriver") == "cgroupfs" and _is_local(api)
            except (DockerException, RequestException, ValueError) as error:
                log.warning("the engine does not tell about itself: %s", error)
                return None
        return Account(job.name) if self._can_account else None

    def _run(self, api: Any, job: ContainerJob, cancel: Cancellation) -> Ended:
        try:
            container = self._create(api, job, cancel)
            try:
                stream = self._start(api, container, cancel)
                cancel.attach(lambda force: _stop(api, container, stream, force))
                return self._follow(api, container, stream, job, cancel)
            finally:
                cancel.detach()
                self._remove(api, container)
        except (DockerException, RequestException) as error:
            raise _launch_failure(job, _reason(error)) from error

    def api(self) -> Any:
        """The engine's client. Raises Failed when no engine answers."""
        if self._api is None:
            try:  # not within the lock: with an engine that hangs, one after the other would wait for it
                made = _Client(self._call_timeout_s, self._settings.docker_pull_timeout_s)
            except (DockerException, RequestException) as error:
                raise Failed(DOCKER_TASK_LAUNCH, f"no Docker Engine answers on the node: {error}") from error
            with self._lock:
                self._api = self._api or made
        return self._api

    @contextmanager
    def _slot(self, cancel: Cancellation) -> Iterator[None]:
        """One of the few calls at a time that make or start a container. Raises Killed when the execution is."""
        while not self._starting.acquire(timeout=_SLOT_LOOK_S):
            cancel.check()
        try:
            cancel.check()
            yield
        finally:
            self._starting.release()

    def _create(self, api: Any, job: ContainerJob, cancel: Cancellation) -> str:
        if self._settings.docker_force_pull:
            self._pull(job, cancel)
        for attempt in range(3):
            try:
                config = create_config(api, self._settings, job)
                with self._slot(cancel):
                    return str(api.create_container_from_config(config, job.name)["Id"])
            except ImageNotFound:
                if attempt:
                    raise
                self._pull(job, cancel)
            except APIError as error:
                if error.status_code != 409 or attempt == 2:
                    raise
                self._remove(api, job.name)  # left by an executor that died with this name
        raise Failed(DOCKER_TASK_LAUNCH, f"the image {job.image} vanished as soon as it was pulled")

    def _pull(self, job: ContainerJob, cancel: Cancellation) -> None:
        """Fetch an image, telling in the job's stderr how far it is. Raises Failed naming it; Killed when killed."""
        image, progress = job.image, _Progress(job)
        repository, tag = parse_repository_tag(image)
        deadline = time.monotonic() + self._settings.docker_pull_timeout_s
        progress.tell(f"pulling the image {image}")
        try:
            for event in self.api().pull(repository, tag or "latest", stream=True, decode=True):
                cancel.check()
                progress.take(event)
                if "error" in event:
                    raise Failed(IMAGE_PULL, f"the image {image} cannot be pulled: {event['error']}")
                if time.monotonic() > deadline:
                    limit = f"{self._settings.docker_pull_timeout_s:g} s (SCALE_DOCKER_PULL_TIMEOUT_S)"
                    raise Failed(IMAGE_PULL, f"pulling the image {image} takes longer than {limit}")
        except (DockerException, RequestException, HTTPError) as error:
            reason = f"is not on the node and cannot be pulled: {_reason(error)}"
            raise Failed(IMAGE_PULL, f"the image {image} {reason}") from error
        progress.tell(f"pulled the image {image}")

    def _start(self, api: Any, container: str, cancel: Cancellation) -> Any:
        """Start a container with its output attached from the first byte on."""
        with self._slot(cancel):
            stream = api.attach_socket(container, {"stdout": 1, "stderr": 1, "stream": 1})
            try:
                api._disable_socket_timeout(stream)  # a silent job is no broken connection
                api.start(container)
            except BaseException:
                _close(stream)
                raise
            return stream

    def _follow(self, api: Any, container: str, stream: Any, job: ContainerJob, cancel: Cancellation) -> Ended:
        try:
            with open(job.stdout, "ab", buffering=0) as out, open(job.stderr, "ab", buffering=0) as err:
                limit = int(self._settings.job_log_mib * 1024 * 1024) or None
                _demultiplex(stream, {1: _Capped(out, limit), 2: _Capped(err, limit)})
        finally:
            _close(stream)
        code = self._wait(api, container, cancel)
        if code in (126, 127):
            _refuse_unstarted(job)
        found = api.inspect_container(container)
        is_out_of_memory = bool(code and found["State"].get("OOMKilled"))
        return Ended(code, image_digest=self._digest(api, found["Image"]), is_out_of_memory=is_out_of_memory)

    def _digest(self, api: Any, image_id: str) -> str:
        """The image's name and digest in its registry; its own id, if it was made here. Asked once for each image."""
        if image_id not in self._digests:
            names = api.inspect_image(image_id).get("RepoDigests") or [image_id]
            self._digests[image_id] = str(names[0])
        return self._digests[image_id]

    def _wait(self, api: Any, container: str, cancel: Cancellation) -> int:
        """The exit code. A job may run on silently for as long as it likes; once stopped, it must end soon."""
        while True:
            try:
                return int(api.wait(container, timeout=self._call_timeout_s)["StatusCode"])
            except RequestException as error:
                if cancel.reason is not None or "timed out" not in str(error):
                    raise

    def gpus_in_use(self) -> set[str]:
        """The GPUs of all containers that run, whoever started them. Raises Failed when the engine does not tell."""
        try:
            found = self.api().containers(filters={"label": GPUS_LABEL})
        except (DockerException, RequestException) as error:
            raise Failed(GPU, f"the engine does not tell which GPUs containers have: {_reason(error)}") from error
        return {gpu for container in found for gpu in (container.get("Labels") or {})[GPUS_LABEL].split(",")}

    def remove_orphans(self, labels: dict[str, str], is_mine: Any) -> list[str]:
        """Remove containers with all these labels for which is_mine(their labels) is true; returns their names."""
        api = self.api()
        removed = []
        wanted = {"label": [f"{name}={value}" for name, value in labels.items()]}
        for container in api.containers(all=True, filters=wanted):
            if is_mine(container.get("Labels") or {}):
                self._remove(api, container["Id"])
                removed += [name.lstrip("/") for name in container.get("Names") or [container["Id"]]]
        return removed

    @staticmethod
    def _remove(api: Any, container: str) -> None:
        try:
            api.remove_container(container, force=True, v=True)
        except (DockerException, RequestException) as error:
            if getattr(error, "status_code", None) not in (404, 409):  # gone, or going
                log.warning("container %s could not be removed: %s", container, error)


def create_config(api: Any, settings: Settings, job: ContainerJob) -> Any:
    """What the engine is asked to create."""
    mem = int(max(job.mem, MIN_MEM) * 1024 * 1024)
    safe: dict[str, Any] = {}
    user = None
    if not job.privileged:
        user = f"{JOB_UID}:{JOB_UID}" if os.geteuid() == 0 else f"{os.geteuid()}:{os.getegid()}"
        safe = {"security_opt": ["no-new-privileges"], "cap_drop": ["ALL"]}
        if settings.docker_read_only:
            scratch = f"rw,nosuid,nodev,mode=1777,size={mem // 2}"
            safe |= {"read_only": True, "tmpfs": {"/tmp": scratch}}  # noqa: S108 - within the container
    host = api.create_host_config(
        network_mode=settings.node_network,
        # Our own capture writes both streams to files; a log driver would write everything a second time.
        log_config={"Type": "none"},
        mem_limit=mem,
        memswap_limit=mem,
        # Shares, not a quota: what was scheduled is guaranteed, what is idle may be used.
        cpu_shares=max(2, int(job.cpus * 1024)),
        cgroup_parent=job.cgroup_parent,
        pids_limit=settings.job_pids or None,
        init=True,
        privileged=job.privileged,
        device_requests=[DeviceRequest(device_ids=list(job.gpus), capabilities=[["gpu"]])] if job.gpus else None,
        mounts=[
            Mount(
                bind.target, path_of_engine(bind.source, settings.docker_paths), type="bind", read_only=bind.read_only
            )
            for bind in job.binds
        ],
        **safe,
    )
    return api.create_container_config(
        job.image,
        None if job.command else list(job.arguments) or None,
        entrypoint=[*job.command, *job.arguments] if job.command else None,
        environment={"HOME": "/tmp", **job.variables},  # noqa: S108 - within the container
        labels={**job.labels, GPUS_LABEL: ",".join(job.gpus)} if job.gpus else job.labels,
        user=user,
        host_config=host,
    )


def _launch_failure(job: ContainerJob, reason: str) -> Failed:
    if job.gpus and _NO_GPUS.search(reason):
        fix = "its engine needs the NVIDIA Container Toolkit"
        return Failed(GPU, f"the node gives no container the GPUs {', '.join(job.gpus)}: {fix} ({reason})")
    return Failed(DOCKER_TASK_LAUNCH, f"the container of {job.image} failed: {reason}")


def path_of_engine(path: str, paths: Mapping[str, str]) -> str:
    """A path of ours as the machine of the engine knows it: the longest prefix of SCALE_DOCKER_PATHS is replaced."""
    for here in sorted(paths, key=len, reverse=True):
        if path == here or path.startswith(f"{here}/"):
            return f"{paths[here]}{path[len(here) :]}" or "/"
    return path


def _is_local(api: Any) -> bool:
    return str(api.base_url).startswith("http+docker://")


def _stop(api: Any, container: str, stream: Any, force: bool) -> None:
    name = "SIGKILL" if force else "SIGTERM"
    try:
        api.kill(container, name)
    except (DockerException, RequestException) as error:
        log.debug("container %s was not sent %s: %s", container, name, error)
        if force and isinstance(error, RequestException) and not isinstance(error, APIError):
            # The engine does not answer: its stream may never end, and the job's thread must not wait for it for ever.
            with suppress(OSError):
                getattr(stream, "_sock", stream).shutdown(socket.SHUT_RDWR)


def _close(stream: Any) -> None:
    """Close an attached stream and its socket, which the SDK keeps open as long as any part of the answer lives.

    The connection first: closing the answer gives it back to the pool, and from then on it is somebody else's.
    """
    response = getattr(stream, "_response", None)
    connection = getattr(getattr(response, "raw", None), "_connection", None)
    for part in (connection, response, stream):
        if part is not None:
            part.close()


def _demultiplex(stream: Any, files: dict[int, Any]) -> None:
    """Copy an attached stream to its files until it ends: frames of 8 bytes of head (stream, 0, 0, 0, length)."""
    while head := _read_exactly(stream, 8):
        file, left = files.get(head[0]), int.from_bytes(head[4:], "big")
        while left:
            data = stream.read(min(left, _STREAM_CHUNK))
            if not data:
                return
            left -= len(data)
            if file is not None:
                file.write(data)


class _Capped:
    """A log that takes `limit` bytes; the rest is read and dropped, so the job is not held up, and a notice written."""

    def __init__(self, file: Any, limit: int | None) -> None:
        self._file = file
        self._left = limit

    def write(self, data: bytes) -> None:
        if self._left is None or len(data) <= self._left:
            _write_all(self._file, data)
            self._left = None if self._left is None else self._left - len(data)
        elif self._left >= 0:
            notice = b"\n[scale] the log has reached its limit (SCALE_JOB_LOG_MIB); what follows is not kept\n"
            _write_all(self._file, data[: self._left] + notice)
            self._left = -1


class _Progress:
    """A pull as lines in the job's stderr, at most one in two seconds."""

    def __init__(self, job: ContainerJob) -> None:
        self._path = job.stderr
        self._layers: dict[str, tuple[int, int]] = {}
        self._told = 0.0

    def take(self, event: dict[str, Any]) -> None:
        detail = event.get("progressDetail") or {}
        if event.get("status") == "Downloading" and detail.get("total"):
            self._layers[str(event.get("id"))] = (int(detail.get("current", 0)), int(detail["total"]))
            if time.monotonic() - self._told > _PROGRESS_S:
                done, total = (sum(sizes) / 1024**2 for sizes in zip(*self._layers.values(), strict=True))
                self.tell(f"pulled {done:.0f} of at least {total:.0f} MiB")

    def tell(self, text: str) -> None:
        self._told = time.monotonic()
        log.info(text)
        with open(self._path, "a", encoding="utf-8") as file:
            file.write(f"[scale] {text}\n")


def _read_exactly(stream: Any, size: int) -> bytes:
    """`size` bytes, or none when the stream ends before."""
    data = b""
    while len(data) < size:
        more = stream.read(size - len(data))
        if not more:
            return b""
        data += more
    return data


def _write_all(file: Any, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[file.write(view) :]


def _refuse_unstarted(job: ContainerJob) -> None:
    with open(job.stderr, "rb") as file:
        found = _NOT_STARTED.search(file.read(4096))
    if found:
        program, reason = (part.decode(errors="replace") for part in found.groups())
        raise Failed(DOCKER_TASK_LAUNCH, f"the image {job.image} cannot run {program!r}: {reason}")


def _reason(error: Exception) -> str:
    return str(getattr(error, "explanation", None) or error)
