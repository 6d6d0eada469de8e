-- What a token may do beyond its role. Tokens of nodes could pass registrations on before, and what was granted stays.
ALTER TABLE tokens ADD COLUMN may_register BOOLEAN NOT NULL DEFAULT FALSE;
UPDATE tokens SET may_register = TRUE WHERE role = 'node';
