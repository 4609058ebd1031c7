"""``make rehearse``: what azd up and azd down do, over stand-ins for Azure."""
