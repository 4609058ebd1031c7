"""Which reason a release has that a service refused."""

from __future__ import annotations

from core.reasons import Reason
from core.release.actions import Action, Check, Create, Evaluate, MoveTraffic, NeedsRead, Pin, ReadEvaluation, RollBack
from core.state.release import Phase, ReleaseState
from handlers.gateways.errors import TOO_MANY_VERSIONS, GatewayError, PermanentError, TransientError


def refusal_reason(error: GatewayError, action: Action, state: ReleaseState) -> Reason:
    """The reason by the error, by what was refused, and by how far the release was."""
    if isinstance(error, PermanentError) and error.other_tenant:
        return Reason.OTHER_TENANT
    if isinstance(error, PermanentError) and error.status in (401, 403):
        return Reason.PREVIEW_REQUIRED if error.names_preview else Reason.FORBIDDEN
    if isinstance(action, Create):
        return Reason.VERSION_LIMIT if error.code == TOO_MANY_VERSIONS else Reason.CREATE_REFUSED
    if isinstance(action, Evaluate | ReadEvaluation):
        return Reason.EVALUATION_INCONCLUSIVE
    if isinstance(error, TransientError) and isinstance(action, NeedsRead):
        return Reason.TOOLBOX_REFUSED  # a conflict that lasts, of the one write beside the reads
    if isinstance(action, Check | RollBack) or state.phase is Phase.TRAFFIC_MOVED:
        return Reason.ROLLBACK_REFUSED
    return Reason.ROUTE_REFUSED if isinstance(action, Pin | MoveTraffic) else Reason.REQUEST_REFUSED
