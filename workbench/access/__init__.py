"""People, roles, permissions, and the audit trail."""

from workbench.access import audit, desk
from workbench.access.people import PERMISSIONS, ROLES, Actor, Role, Verb, local, may, require

__all__ = ["PERMISSIONS", "ROLES", "Actor", "Role", "Verb", "audit", "desk", "local", "may", "require"]
