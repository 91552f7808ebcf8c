-- Run inside a database: what every role may call by default and a reader must not, its owner alone keeps.
-- Advisory locks, which would hold up the night, and large objects and WAL messages, which are writing.
do $$
declare
    owner text := (select datdba::regrole::text from pg_database where datname = current_database());
    closed text;
begin
    for closed in
        select oid::regprocedure::text
        from pg_proc
        where pronamespace = 'pg_catalog'::regnamespace
            and (
                proname ~ '^pg_.*advisory'
                or proname ~ '^lo_'
                or proname in ('loread', 'lowrite', 'pg_logical_emit_message')
            )
    loop
        execute 'revoke execute on function ' || closed || ' from public';
        execute 'grant execute on function ' || closed || ' to ' || owner;
    end loop;
end
$$;
