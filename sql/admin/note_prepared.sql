comment on database {database} is {versions};
