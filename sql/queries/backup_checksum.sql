-- The same for the same rows in any order.
select count(*) as rows, coalesce(sum(hash_record_extended(each_row, 0)), 0)::text as checksum
from {table} each_row;
