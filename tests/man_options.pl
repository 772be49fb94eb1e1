#!/usr/bin/perl
# SPDX-License-Identifier: MIT
# man_options.pl -- a tool's option table as the OPTIONS section of its man page.
#
#   vlpack --options-tsv | tests/man_options.pl            the section, to start a page from
#   vlpack --options-tsv | tests/man_options.pl --check cli/man/vlpack.1
#
# --check compares both ways: every row of the table has a paragraph ".TP / tag", with the tag exactly
# as written here, and every such paragraph has a row; the paragraph shows the default in brackets.
# Prints what differs; exits 1 when something does.
use strict;
use warnings;

my (@tag, %default, %row);
while (<STDIN>) {
    chomp;
    my ($long, $short, $arg, $type, $default, $help) = split /\t/;
    my $tag = ($short ne '-' ? "$short, " : '') . $long . ($arg ne '-' ? " $arg" : '');
    push @tag, $tag;
    $row{$tag}     = [$long, $short, $arg, $help];
    $default{$tag} = $default if $default ne '-' && $help !~ /\]$/;
    $default{$tag} = $1 if $help =~ /\[([^\]]+)\]$/;
}
die "no rows on standard input\n" unless @tag;

sub roff { my $s = shift; $s =~ s/\\/\\e/g; $s =~ s/-/\\-/g; $s =~ s/^([.'])/\\&$1/; return $s }

if (!@ARGV) {
    print ".SH OPTIONS\n";
    for (@tag) {
        my ($long, $short, $arg, $help) = @{$row{$_}};
        my $text = $help . (defined $default{$_} && $help !~ /\]$/ ? " [$default{$_}]" : '');
        print ".TP\n", $short ne '-' ? '\fB' . roff($short) . '\fR, ' : '', '\fB', roff($long), '\fR',
            $arg ne '-' ? ' \fI' . roff($arg) . '\fR' : '', "\n", roff($text), "\n";
    }
    exit 0;
}

die "usage: man_options.pl [--check PAGE]\n" unless @ARGV == 2 && $ARGV[0] eq '--check';
open my $page, '<', $ARGV[1] or die "$ARGV[1]: $!\n";
my ($in, $next, $current, %text) = (0, 0);
while (<$page>) {
    chomp;
    s/\\f[BIRP]//g; s/\\-/-/g; s/\\&//g; s/\\e/\\/g;
    if (/^\.SH\s+"?(.*?)"?\s*$/) { $in = $1 eq 'OPTIONS'; undef $current; next }
    next unless $in;
    if    (/^\.TP/) { $next = 1 }
    elsif ($next)   { $next = 0; $current = $_; $text{$current} = '' }
    elsif (defined $current) { $text{$current} .= " $_" }
}
my $bad = 0;
for (@tag) {
    if (!exists $text{$_}) { print "not in the page: $_\n"; $bad = 1; next }
    if (defined $default{$_} && index($text{$_}, "[$default{$_}]") < 0) {
        print "$_: the page does not show its default [$default{$_}]\n";
        $bad = 1;
    }
}
for (sort keys %text) {
    if (!$row{$_}) { print "not in the table: $_\n"; $bad = 1 }
}
exit $bad;
