-- Of all nights before this one, the last; of its publications, the final one: what the champions said.
with previous as (
    select publication_id
    from lifecycle.publications
    where domain = %(domain)s and as_of < %(as_of)s
    order by as_of desc, publication_id desc
    limit 1
)
select q.entity, q.target, q.p_up
from lifecycle.predictions q
join previous using (publication_id)
where q.role = 'champion'
order by q.target, q.entity;
