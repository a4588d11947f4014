"""The papers' claims: what each says as data, and what the records say of it."""
