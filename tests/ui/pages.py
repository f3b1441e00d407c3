"""Every page with an address that shows something of the world: the list that tests and pictures go through."""

from __future__ import annotations

from datetime import timedelta

from tests.ui.world import NOWHERE, World


def addresses(world: World) -> dict[str, str]:
    """By name, the addresses below /ui."""
    return {
        "overview": "/",
        "jobs": "/jobs",
        "jobs-failed": "/jobs?status=FAILED&error_category=DATA",
        "jobs-none": "/jobs?job_id=99999999",
        "job-completed": f"/jobs/{world.completed}",
        "job-failed": f"/jobs/{world.failed[0]}?stream=stderr&line=1",
        "job-running": f"/jobs/{world.running}",
        "job-waiting": f"/jobs/{world.waiting}",
        "recipes": "/recipes",
        "recipe": f"/recipes/{world.recipe}",
        "job-types": "/job-types",
        "job-type": f"/job-types/{world.finder}",
        "job-type-failing": f"/job-types/{world.checker}",
        "job-type-edit": f"/job-types/{world.checker}/edit",
        "job-type-new": "/job-types/new",
        "job-type-run": f"/job-types/{world.finder}/run",
        "recipe-types": "/recipe-types",
        "recipe-type": f"/recipe-types/{world.recipe_type}",
        "recipe-type-new": "/recipe-types/new",
        "recipe-type-run": f"/recipe-types/{world.recipe_type}/run",
        "files": "/files",
        "files-sources": "/files?kind=sources",
        "file": f"/files/{world.source}",
        "triggers": "/triggers",
        "trigger": "/triggers/1",
        "errors": "/errors",
        "workspaces": "/workspaces",
        "workspace": f"/workspaces/{world.workspace}",
        "workspace-new": "/workspaces/new",
        "import-export": "/import-export",
        "metrics": "/metrics",
        "metrics-month": f"/metrics?started={world.month}&ended={world.month + timedelta(days=27)}&column=failed_count"
        f"&column=error_data_count&choice_id={world.liner}&choice_id={world.tides}",
        "scheduler": "/scheduler",
        "accounts": "/accounts",
        "tokens": "/tokens",
        "password": "/password",
        "audit": "/audit",
        "queue": "/queue",
        "load": "/load",
        "nodes": "/nodes?inactive=1",
        "node": f"/nodes/{world.node}",
        "ingests": "/ingests",
        "strikes": "/strikes",
        "strike": f"/strikes/{world.strike}",
        "strike-new": "/strikes/new",
    }


NAMES = tuple(addresses(NOWHERE))
