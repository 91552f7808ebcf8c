-- What a database was last prepared for, as noted by note_prepared.sql.
select shobj_description(oid, 'pg_database') from pg_database where datname = %(database)s;
