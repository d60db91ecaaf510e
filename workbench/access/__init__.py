"""People, roles, permissions, and the audit trail."""

from workbench.access import audit
from workbench.access.people import PERMISSIONS, ROLES, Actor, Role, Verb, local, may, require

__all__ = ["PERMISSIONS", "ROLES", "Actor", "Role", "Verb", "audit", "local", "may", "require"]
