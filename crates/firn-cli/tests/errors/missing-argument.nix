let lib = import ./library; in
lib.greet { greeting = "hi"; }
