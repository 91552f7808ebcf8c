-- A backup is proved by restoring it into a database made for that and dropped again: the only right beyond its own things.
alter role {role} createdb;
