let library = import ./library; in
{ result = library.ensure { value = false; message = "the port must be set"; }; }.result
