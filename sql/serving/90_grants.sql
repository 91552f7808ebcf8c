-- The reader sees the views and nothing else.
do $$
begin
    grant usage on schema serving to afterbell_reader;
    grant select on all tables in schema serving to afterbell_reader;
end
$$;
