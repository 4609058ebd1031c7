"""Events of Azure Container Registry, as their schema page shows them."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import Any

from aiohttp import web

PROVIDER = "/subscriptions/local/resourceGroups/local/providers/Microsoft.ContainerRegistry"


def registry_event(registry: str, request: web.Request, action: str, target: dict[str, Any]) -> dict[str, Any]:
    """Return an ImagePushed or ImageDeleted event in Event Grid's schema; ``request`` is the pusher's."""
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f") + "0Z"
    event_id = str(uuid.uuid4())
    request_data = {
        "id": str(uuid.uuid4()),
        "host": f"{registry}.azurecr.io",
        "method": request.method,
        "useragent": request.headers.get("User-Agent", ""),
    }
    return {
        "id": event_id,
        "topic": f"{PROVIDER}/registries/{registry}",
        "subject": target["repository"] + (f":{target['tag']}" if "tag" in target else ""),
        "eventType": f"Microsoft.ContainerRegistry.{'ImagePushed' if action == 'push' else 'ImageDeleted'}",
        "eventTime": now,
        "data": {
            "id": event_id,
            "timestamp": now,
            "action": action,
            "location": "local",
            "target": target,
            "request": request_data,
        },
        "dataVersion": "1.0",
        "metadataVersion": "1",
    }
