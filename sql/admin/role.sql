-- A role that may log in and nothing else; safe to run again, and then sets the password anew.
do $$
begin
    create role {role} login;
exception
    when duplicate_object then null;
end
$$;
alter role {role} nosuperuser nocreatedb nocreaterole noreplication nobypassrls password {password};
