"""Which role each operation needs: the one table. An operation that is missing from it is for administrators only, and
a test fails on it, as on one that is there no longer."""

from __future__ import annotations

import re

from flask import Flask
from werkzeug.routing import Rule

from scale_core.domain.access import Role

# Anybody may: what a browser needs before its user has signed in, and what tells nothing of what is stored.
PUBLIC = """
GET /
GET /docs/
GET /docs/api/
GET /docs/assets/{name}
GET /docs/pictures/{name}
GET /docs/{name}/
GET /openapi.json
GET /session/
GET /sign-on/
GET /sign-on/callback/
GET /static/{filename}
GET /ui/
GET /ui/assets/{name}
GET /ui/{page}
GET /version/
POST /sign-in/
"""

# Whoever has an account, whatever the role.
VIEWER = """
GET /configuration/
GET /configuration/download/
GET /errors/
GET /errors/{error_id}/
GET /files/
GET /files/{file_id}/
GET /files/{file_id}/ancestors/
GET /files/{file_id}/content/
GET /files/{file_id}/descendants/
GET /ingests/
GET /ingests/status/
GET /ingests/{file_name}/
GET /ingests/{ingest_id}/
GET /job-executions/
GET /job-executions/{execution_id}/
GET /job-executions/{execution_id}/logs/
GET /job-types/
GET /job-types/running/
GET /job-types/status/
GET /job-types/system-failures/
GET /job-types/{job_type_id}/
GET /job-types/{job_type_id}/performance/
GET /job-types/{job_type_id}/revisions/
GET /jobs/
GET /jobs/executions/
GET /jobs/updates/
GET /jobs/{job_id}/
GET /load/
GET /load/outcomes/
GET /metrics-prometheus/
GET /metrics/
GET /metrics/{name}/
GET /metrics/{name}/plot-data/
GET /nodes/
GET /nodes/status/
GET /nodes/{node_id}/
GET /products/
GET /products/updates/
GET /products/{file_name}/
GET /products/{product_id}/
GET /queue/
GET /queue/status/
GET /recipe-types/
GET /recipe-types/{recipe_type_id}/
GET /recipe-types/{recipe_type_id}/revisions/
GET /recipes/
GET /recipes/jobs/
GET /recipes/{recipe_id}/
GET /scheduler/
GET /sources/
GET /sources/updates/
GET /sources/{file_name}/
GET /sources/{source_id}/
GET /status/
GET /strikes/
GET /strikes/{strike_id}/
GET /trigger-events/
GET /trigger-events/{event_id}/
GET /trigger-rules/
GET /trigger-rules/{rule_id}/
GET /workspaces/
GET /workspaces/{workspace_id}/
POST /session/password/
POST /sign-out/
POST /trigger-rules/preview/
"""

# Jobs, the queue, nodes, Strikes.
OPERATOR = """
PATCH /jobs/{job_id}/
PATCH /nodes/{node_id}/
PATCH /products/{product_id}/
PATCH /scheduler/
PATCH /strikes/{strike_id}/
POST /ingests/{ingest_id}/retry/
POST /queue/new-job/
POST /queue/new-recipe/
POST /queue/prioritise-jobs/
POST /queue/requeue-jobs/
POST /strike/create/
POST /strikes/
POST /strikes/validation/
PUT /nodes/{node_id}/
"""

# Types, workspaces, errors, accounts, tokens, configuration.
ADMIN = """
GET /accounts/
GET /accounts/{account_id}/
GET /audit/
GET /audit/{entry_id}/
GET /tokens/
GET /tokens/{token_id}/
DELETE /products/{product_id}/
DELETE /tokens/{token_id}/
PATCH /accounts/{account_id}/
PATCH /errors/{error_id}/
PATCH /job-types/{job_type_id}/
PATCH /recipe-types/{recipe_type_id}/
PATCH /workspaces/{workspace_id}/
POST /accounts/
POST /configuration/
POST /configuration/upload/
POST /configuration/validation/
POST /errors/
POST /job-types/
POST /job-types/validation/
POST /recipe-types/
POST /recipe-types/validation/
POST /tokens/
POST /workspaces/
POST /workspaces/validation/
"""

NEEDED: dict[str, Role | None] = {
    operation: role
    for role, operations in ((None, PUBLIC), (Role.VIEWER, VIEWER), (Role.OPERATOR, OPERATOR), (Role.ADMIN, ADMIN))
    for operation in operations.strip().splitlines()
}
READS = ("GET", "HEAD", "OPTIONS")


def name_of(method: str, rule: str) -> str:
    """``GET /jobs/{job_id}/`` of a routing rule; HEAD is GET."""
    path = re.sub(r"<(?:\w+(?:\([^>]*\))?:)?(\w+)>", r"{\1}", rule)
    return f"{'GET' if method == 'HEAD' else method} {path}"


def needed(method: str, rule: str) -> Role | None:
    """The role, None if anybody may."""
    return NEEDED.get(name_of(method, rule), Role.ADMIN)


def all_of(app: Flask) -> dict[str, Rule]:
    """Every operation of the application."""
    return {
        name_of(method, rule.rule): rule
        for rule in app.url_map.iter_rules()
        for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"})
    }
