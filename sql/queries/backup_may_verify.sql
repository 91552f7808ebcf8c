select rolcreatedb or rolsuper as may from pg_roles where rolname = current_user;
