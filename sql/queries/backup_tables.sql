-- Every table that holds rows: partitions themselves, not what they are partitions of.
select n.nspname as schema, c.relname as name
from pg_class c
join pg_namespace n on n.oid = c.relnamespace
where c.relkind = 'r'
    and n.nspname !~ '^pg_'
    and n.nspname <> 'information_schema'
order by schema, name;
