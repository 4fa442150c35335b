"""--help, the man page and the completions list the same options, exit statuses and commands."""

import re
import subprocess
import unittest

import support
from support import Case, run, top

MAN = (top / "man/ckptree.1").read_text()
ERRORS = (top / "src/core/error.cpp").read_text()


def plain(roff):
    """The words of a piece of the man page, without its markup."""
    text = re.sub(r"\\f[BIR]|\\&|\"", "", re.sub(r"(?m)^\.[BI]?[BIR] ", "", roff))
    return text.replace("\\-", "-").replace("\\(rs", "\\")


def section(name):
    return re.search(rf'^\.SH "?{name}"?\n(.*?)(?=^\.SH |\Z)', MAN, re.M | re.S).group(1)


class Help(Case):
    def setUp(self):
        self.help = run("--help").text

    def own_options(self):
        block = re.search(r"^Options of -o:\n(.*?)\n\n", self.help, re.M | re.S).group(1)
        return re.findall(r"^  ([a-z_]+=?)", block, re.M)

    def mount_options(self):
        return re.search(r"/etc/fstab use them:\n(.*?)\n\n", self.help, re.S).group(1).split()

    def test_help_goes_to_standard_output_and_succeeds(self):
        for flag in ("--help", "-h"):
            answer = run("umount", flag) if flag == "-h" else run(flag)
            self.check(answer, 0)
            self.assertTrue(answer.text.startswith("Usage: ckptree "))

    def test_version_is_that_of_the_build(self):
        version = re.search(r"version: '([^']+)'", (top / "meson.build").read_text()).group(1)
        self.assertEqual(run("--version").text, f"ckptree {version}\n")
        self.assertEqual(run("-V").text, f"ckptree {version}\n")

    def test_the_man_page_describes_the_options_that_help_lists(self):
        described = [plain(o) for line in re.findall(r'^\.BR \\-o .*$', section("OPTIONS"), re.M)
                     for o in re.findall(r'\\-o " " ([a-z_]+=?)', line)]
        self.assertEqual(sorted(described), sorted(self.own_options()))
        self.assertGreater(len(described), 15)

    def test_the_man_page_names_the_choices_and_defaults_that_help_lists(self):
        text = " ".join(plain(section("OPTIONS")).split())
        for name, choices in re.findall(r"^  ([a-z_]+)=([a-z]+(?:\|[a-zN]+)+) ", self.help, re.M):
            self.assertIn(f"-o {name}={choices}", text.replace(" | ", "|"))
        entries = re.sub(r"\n {30}", " ", self.help)
        for name, default in re.findall(r"^  ([a-z_]+)=.*default: ([^) ]+)\)$", entries, re.M):
            if default not in ("none", "SOURCE"):
                self.assertRegex(text, rf"-o {name}=((?! -o ).)*?[Dd]efault:? {re.escape(default)}")

    def test_the_man_page_names_what_is_taken_from_mount(self):
        roff = re.search(r"^\.SS Of mount.*?(?=^\.S)", MAN, re.M | re.S).group(0).replace("\\-", "-")
        self.assertEqual(sorted(set(re.findall(r"^\.BR? ([\w*-]+)", roff, re.M))), sorted(self.mount_options()))

    def test_the_man_page_lists_the_exit_statuses_that_help_lists(self):
        listed = re.findall(r"^  (\d)  (.+)", self.help, re.M)
        described = re.findall(r"^\.TP\n\.B (\d)\n(.*)", section("EXIT STATUS"), re.M)
        self.assertEqual([n for n, _ in described], [str(n) for n in range(10)])
        self.assertEqual([n for n, _ in described], [n for n, _ in listed])
        for (_, said), (_, text) in zip(listed, described):
            self.assertEqual(plain(text)[:8].lower(), said[:8].lower())

    def test_the_man_page_lists_every_errno_of_the_table(self):
        in_table = set(re.findall(r"return \{(E[A-Z]+), ", ERRORS)) - {"EMEDIUMTYPE", "ENODEV"}  # at start only
        described = set(re.findall(r"\bE[A-Z]{2,}\b", " ".join(
            re.findall(r"^\.TP\n\.B (.*)$", section("ERRORS").replace("\\fR", " ").replace("\\fB", " "), re.M))))
        self.assertEqual(in_table - described, set())

    def test_flags_and_commands_are_in_the_man_page(self):
        for flag in re.findall(r"^  (-[a-zA-Z](?:, --[a-z]+)?)", self.help, re.M):
            roff = flag.replace("-", "\\-").replace(", ", ' ", " ')
            self.assertRegex(section("OPTIONS"), rf"(?m)^\.B[RI]? {re.escape(roff)}")
        for command in re.findall(r"^ +ckptree ([a-z]+) ", self.help, re.M):
            self.assertRegex(section("SYNOPSIS"), rf'(?m)^\.SY "ckptree {command}"')

    def test_the_completions_offer_the_options_that_help_lists(self):
        folder = top / "src/cli/completions"
        bash = re.search(r"_ckptree_options='(.*?)'", (folder / "ckptree.bash").read_text(), re.S).group(1).split()
        self.assertEqual(sorted(bash), sorted(self.own_options()))
        names = sorted(o.rstrip("=") for o in self.own_options())
        zsh = re.findall(r"^    '([a-z_]+)\[", (folder / "_ckptree").read_text(), re.M)
        self.assertEqual(sorted(zsh), names)
        fish = re.findall(r"(?:^    set -l options |^        )([a-z_]+)(?:=\w*)?\\t",
                          (folder / "ckptree.fish").read_text(), re.M)
        self.assertEqual(sorted(set(fish)), names)

    def test_the_completions_offer_every_command(self):
        for name in ("ckptree.bash", "_ckptree", "ckptree.fish"):
            text = (top / "src/cli/completions" / name).read_text()
            for command in re.findall(r"^ +ckptree ([a-z]+) ", self.help, re.M):
                self.assertRegex(text, rf"\b{command}\b")

    def test_bash_completes_commands_options_values_and_paths(self):
        script = top / "src/cli/completions/ckptree.bash"

        def complete(*words):
            # compopt works only while bash completes for a terminal.
            code = ("compopt() { :; }; . $0; COMP_WORDS=(\"$@\"); COMP_CWORD=$(($# - 1)); _ckptree; "
                    "printf '%s\\n' \"${COMPREPLY[@]}\"")
            path = {"PATH": f"{support.ckptree.rpartition('/')[0]}:/usr/bin:/bin"}
            return subprocess.run(["bash", "-c", code, script, "ckptree", *map(str, words)], env=path, check=True,
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True).stdout.split()

        super().setUp()
        self.assertEqual(complete("um"), ["umount"])
        self.assertEqual(complete("-o", "ro,flu"), ["ro,flush_interval="])
        self.assertEqual(complete("-o", "edit", "=", "a"), ["all"])
        self.assertEqual(complete("cat", self.sample, "metadata/conf"), ["metadata/config/"])


class ManPage(unittest.TestCase):
    def test_it_has_the_sections_in_order(self):
        self.assertEqual(re.findall(r'^\.SH "?(.*?)"?$', MAN, re.M),
                         ["NAME", "SYNOPSIS", "DESCRIPTION", "OPTIONS", "FILES", "EDITING", "CONSISTENCY", "ERRORS",
                          "EXIT STATUS", "EXAMPLES", "BUGS", "SEE ALSO"])

    def test_the_formatters_have_nothing_to_complain_about(self):
        page = top / "man/ckptree.1"
        lint = subprocess.run(["mandoc", "-T", "lint", page], stdout=subprocess.PIPE, text=True)
        # The base of mandoc's database differs between systems; only the page itself is judged.
        complaints = [line for line in lint.stdout.splitlines() if "unknown library" not in line]
        self.assertEqual(complaints, [])
        groff = subprocess.run(["groff", "-man", "-Tutf8", "-ww", "-z", page], stderr=subprocess.PIPE, text=True)
        self.assertEqual((groff.returncode, groff.stderr), (0, ""))


if __name__ == "__main__":
    support.main()
