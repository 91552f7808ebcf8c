copy incoming_members from stdin with (format csv);
