let
  machine = {
    disks.first.size = 10;
  };
in
machine.disks.second.size
