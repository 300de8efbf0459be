/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a shell completes, made of the tables of clicommand.c, so that it can
 * never offer what there is not. The zsh script is the bash one, which zsh
 * runs by its own bashcompinit.
 */
#include "agent/cli.h"

#include <stdio.h>
#include <string.h>

/* First words, each once; or the second words of one group. */
static void
words_print(const char *group)
{
	const char *last = "";
	size_t i;

	for (i = 0; i < cli_ncommands; i++) {
		const struct cli_command *k = &cli_commands[i];
		const char *word = k->group != NULL ? k->group : k->verb;

		if (group != NULL &&
		    (k->group == NULL || strcmp(k->group, group) != 0))
			continue;
		if (k->synopsis == NULL)
			continue;
		if (group != NULL)
			word = k->verb;
		if (strcmp(word, last) != 0)
			printf("%s%s", last[0] != '\0' ? " " : "", word);
		last = word;
	}
}

static void
options_print(uint64_t opts)
{
	opts |= CLI_BIT(CLI_HELP);
	for (int o = 0; o < CLI_OPTS; o++)
		if ((opts & CLI_BIT(o)) != 0)
			printf(" --%s", cli_options[o].name);
}

/* What follows an option that takes a value. */
static void
values_print(void)
{
	for (int o = 0; o < CLI_OPTS; o++) {
		const struct cli_option *p = &cli_options[o];

		if (p->value == NULL)
			continue;
		printf("\t--%s) ", p->name);
		if (p->words != NULL)
			printf("COMPREPLY=($(compgen -W \"%s\" -- \"$cur\")); "
			       "return ;;\n",
			    p->words);
		else if (strcmp(p->value, "FILE") == 0 ||
		    strcmp(p->value, "PATH") == 0)
			printf("COMPREPLY=($(compgen -f -- \"$cur\")); "
			       "return ;;\n");
		else
			printf("return ;;\n");
	}
}

/* "--a|--b": after these a word is no command. */
static void
takers_print(void)
{
	const char *bar = "";

	for (int o = 0; o < CLI_OPTS; o++)
		if (cli_options[o].value != NULL) {
			printf("%s--%s", bar, cli_options[o].name);
			bar = "|";
		}
}

static void
groups_print(void)
{
	const char *last = "";

	for (size_t i = 0; i < cli_ncommands; i++) {
		const struct cli_command *k = &cli_commands[i];

		if (k->group == NULL || k->synopsis == NULL ||
		    strcmp(k->group, last) == 0)
			continue;
		last = k->group;
		printf("\t'%s ') words=\"", k->group);
		words_print(k->group);
		printf("\" ;;\n");
	}
}

static void
commands_print(void)
{
	for (size_t i = 0; i < cli_ncommands; i++) {
		const struct cli_command *k = &cli_commands[i];

		if (k->group != NULL)
			printf("\t'%s %s'", k->group, k->verb);
		else
			printf("\t'%s '*", k->verb);
		printf(") opts=\"");
		options_print(k->opts);
		printf("\" ;;\n");
	}
}

static void
bash_print(void)
{
	puts("_perch() {\n"
	     "\tlocal cur=${COMP_WORDS[COMP_CWORD]} prev= one= two= words= "
	     "opts=\n"
	     "\tlocal i w\n"
	     "\tCOMPREPLY=()\n"
	     "\t[ \"$COMP_CWORD\" -gt 0 ] && prev=${COMP_WORDS[COMP_CWORD-1]}\n"
	     "\tcase $prev in");
	values_print();
	puts("\tesac\n"
	     "\tfor ((i = 1; i < COMP_CWORD; i++)); do\n"
	     "\t\tw=${COMP_WORDS[i]}\n"
	     "\t\tcase $w in");
	printf("\t\t");
	takers_print();
	puts(") ((i++)); continue ;;\n"
	     "\t\t-*) continue ;;\n"
	     "\t\tesac\n"
	     "\t\tif [ -z \"$one\" ]; then one=$w\n"
	     "\t\telif [ -z \"$two\" ]; then two=$w; fi\n"
	     "\tdone\n"
	     "\tcase \"$one $two\" in");
	printf("\t' ') words=\"");
	words_print(NULL);
	puts("\" ;;");
	groups_print();
	puts("\t'completion ') words=\"bash zsh\" ;;\n"
	     "\tesac\n"
	     "\tcase \"$one $two\" in");
	commands_print();
	puts("\tesac\n"
	     "\tcase $cur in -*) words=$opts ;; esac\n"
	     "\tCOMPREPLY=($(compgen -W \"$words\" -- \"$cur\"))\n"
	     "}\n"
	     "complete -F _perch perch");
}

int
cli_completion(const struct cli *c)
{
	if (strcmp(c->arg[0], "bash") == 0)
		puts("# bash completion of perch, made by perch completion");
	else if (strcmp(c->arg[0], "zsh") == 0)
		puts("#compdef perch\n"
		     "autoload -Uz compinit bashcompinit\n"
		     "whence compdef >/dev/null || compinit -u\n"
		     "bashcompinit");
	else {
		cli_complain("completion: bash or zsh");
		return CLI_USAGE;
	}
	bash_print();
	return CLI_OK;
}
