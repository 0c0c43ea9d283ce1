# Builds an environment: the files of many packages as links in one folder.
#
# In: $packageListPath (a line for each package: PRIORITY PATH…), $closures (a file of further paths, or empty), $pathsToLink,
# $extraPrefix, $ignoreCollisions (0 no, 1 yes, 2 yes and silently), $checkCollisionContents, $ignoreSingleFileOutputs, $manifest, $out.
#
# A folder that only one package has is a link to it; one that several have is a folder, merged. Packages are placed from the
# best priority to the worst: what is there may stay, unless both have the same priority and differ. No modules are used.

my $out     = $ENV{out};
my $prefix  = $ENV{extraPrefix} // "";
my $ignore  = $ENV{ignoreCollisions} // "";
$ignore = 0 if $ignore eq "";
my $compare = ($ENV{checkCollisionContents} // "") ne "";
my @wanted  = split " ", ($ENV{pathsToLink} // "/");

# path in the environment ("" is its top) → [ kind, target, priority ]; kind: link, dir
my %tree = ("" => ["dir", undef, 0]);

sub fail { print STDERR "error: @_\n"; exit 25; }

# is a path (with a leading slash) wanted, or below a wanted one?
sub isWanted {
    my $path = shift;
    $path = "/" if $path eq "";
    for my $w (@wanted) {
        return 1 if $w eq "/" || $path eq $w || index($path, $w . "/") == 0;
    }
    return 0;
}

# could something wanted be below it?
sub hasWantedBelow {
    my $path = shift;
    for my $w (@wanted) {
        return 1 if $w eq "/" || $path eq "" || index($w, $path . "/") == 0;
    }
    return 0;
}

sub entriesOf {
    my $folder = shift;
    opendir(my $handle, $folder) or fail("cannot list $folder: $!");
    my @names = sort grep { $_ ne "." && $_ ne ".." } readdir $handle;
    closedir $handle;
    return @names;
}

sub sameFile {
    my ($left, $right) = @_;
    return 0 unless -f $left && -f $right;
    return 0 if (-s $left) != (-s $right) || ((stat $left)[2] & 0111) != ((stat $right)[2] & 0111);
    open(my $l, "<:raw", $left) or return 0;
    open(my $r, "<:raw", $right) or return 0;
    my ($a, $b);
    while (1) {
        my $n = read($l, $a, 1 << 16);
        read($r, $b, 1 << 16);
        return 0 if $a ne $b;
        return 1 if !$n;
    }
}

# what no environment takes: other packages' notes to builders, and compiled indexes that cannot be merged
sub isSkipped {
    my $path = shift;
    return $path =~ m{^/propagated-build-inputs$|^/nix-support($|/)|/perllocal\.pod$|^/info/dir$|^/share/info/dir$|/log$}
        || $path =~ m{^/share/mime/(?!packages(/|$))} && $path !~ m{^/share/mime$};
}

sub place {
    my ($path, $target, $priority) = @_;
    return if isSkipped($path);
    my $isDir = -d $target;
    if (!isWanted($path)) {
        return unless $isDir && hasWantedBelow($path);
        # only the way to a wanted folder
        my $old = $tree{$path};
        return if defined $old && $old->[0] ne "dir";
        $tree{$path} = ["dir", undef, $priority] unless defined $old;
        place("$path/$_", "$target/$_", $priority) for entriesOf($target);
        return;
    }
    my $old = $tree{$path};
    if (!defined $old) {
        $tree{$path} = ["link", $target, $priority];
        return;
    }
    # merge folders
    if ($isDir && ($old->[0] eq "dir" || -d $old->[1])) {
        if ($old->[0] eq "link") {
            return if $old->[1] eq $target;
            my ($first, $firstPriority) = ($old->[1], $old->[2]);
            $tree{$path} = ["dir", undef, $firstPriority];
            place("$path/$_", "$first/$_", $firstPriority) for entriesOf($first);
        }
        place("$path/$_", "$target/$_", $priority) for entriesOf($target);
        return;
    }
    if ($old->[0] eq "dir") {
        fail("collision between a folder and the file `$target` at `$path`") unless $ignore;
        return;
    }
    return if $old->[1] eq $target;
    return if $old->[2] < $priority;
    my ($left, $right) = map { my $p = $_; my $t; while (defined($t = readlink $p) && $t =~ m{^/}) { $p = $t } $p } ($old->[1], $target);
    return if $left eq $right;
    return if $compare && sameFile($old->[1], $target);
    if ($ignore) {
        print STDERR "warning: collision between `$target` and `$old->[1]`\n" if $ignore == 1;
        return;
    }
    my $where = -d $target ? "folder and file" : "two given paths contain a conflicting subpath";
    print STDERR "error: $where:\n  `$target` and\n  `$old->[1]`\n";
    print STDERR "hint: this may be caused by two different versions of the same package in buildEnv's `paths` parameter\n";
    exit 25;
}

my (@packages, %done);
open(my $list, "<", $ENV{packageListPath}) or fail("cannot read the list of packages: $!");
while (my $line = <$list>) {
    chomp $line;
    my ($priority, @paths) = split " ", $line;
    push @packages, [$priority, $_] for @paths;
}
close $list;
if (($ENV{closures} // "") ne "") {
    open(my $more, "<", $ENV{closures}) or fail("cannot read $ENV{closures}: $!");
    while (my $line = <$more>) { chomp $line; push @packages, [1000, $line]; }
    close $more;
}

# packages, and what they propagate to environments, one step behind them
my @queue = sort { $a->[0] <=> $b->[0] } @packages;
my $later = 1000;
while (@queue) {
    my @next;
    for my $entry (@queue) {
        my ($priority, $package) = @$entry;
        next if $done{$package}++;
        if (!-d $package) {
            next if ($ENV{ignoreSingleFileOutputs} // "") ne "";
            fail("the store path $package is a file and can't be merged into an environment using pkgs.buildEnv!");
        }
        for my $name (entriesOf($package)) { place("$prefix/$name", "$package/$name", $priority); }
        my $file = "$package/nix-support/propagated-user-env-packages";
        if (open(my $handle, "<", $file)) {
            local $/;
            push @next, map { [$later, $_] } split " ", <$handle>;
            close $handle;
        }
    }
    $later++;
    @queue = @next;
}

# ways to the prefix
my $way = "";
for my $part (grep { $_ ne "" } split "/", $prefix) {
    $way .= "/$part";
    $tree{$way} = ["dir", undef, 0] unless defined $tree{$way};
}

mkdir $out or fail("cannot create $out: $!");
my $count = 0;
for my $path (sort keys %tree) {
    next if $path eq "";
    my ($kind, $target) = @{ $tree{$path} };
    if ($kind eq "dir") {
        mkdir "$out$path" or fail("cannot create $out$path: $!");
    } else {
        symlink($target, "$out$path") or fail("cannot link $out$path: $!");
        $count++;
    }
}
symlink($ENV{manifest}, "$out/manifest") or fail("cannot link the manifest: $!") if ($ENV{manifest} // "") ne "";
print STDERR "created $count symlinks in user environment\n";
