"""What a job finds around it: directories and environment variables. docs/job-environment.md tells the rest."""

from __future__ import annotations

from typing import Any

INPUT_DIRECTORY = "/scale/input_data"  # in containers
OUTPUT_DIRECTORY = "/scale/output_data"


def variables(job_id: int, job_exe_id: int, output: str, inputs: str | None, trace: str = "") -> dict[str, str]:
    """The variables of an execution; `inputs` is None for a job without files, `trace` a `traceparent`."""
    found = {"SCALE_JOB_ID": str(job_id), "SCALE_JOB_EXE_ID": str(job_exe_id), "SCALE_OUTPUT_DIR": output}
    found |= {"TRACEPARENT": trace} if trace else {}
    return {**found, "SCALE_INPUT_DIR": inputs} if inputs else found


def document(
    job_id: int, job_exe_id: int, directory: str | None, *, has_files: bool, trace: str = ""
) -> dict[str, Any]:
    """The environment of an execution as REST shows it: in its `directory` on a node, or (None) in a container."""
    inputs, output = INPUT_DIRECTORY, OUTPUT_DIRECTORY
    if directory is not None:
        inputs, output = f"{directory}/input", f"{directory}/output"
    return {"version": "1.0", "variables": variables(job_id, job_exe_id, output, inputs if has_files else None, trace)}
