# Completion of topicfs for bash. The settings are asked of the binary itself.

_topicfs_settings()
{
	"$1" broker --help 2>/dev/null | sed -n 's/^  \([a-z_.]*=\).*/\1/p'
}

_topicfs()
{
	local cur prev command commands options
	cur=${COMP_WORDS[COMP_CWORD]}
	prev=${COMP_WORDS[COMP_CWORD - 1]}
	commands='broker mount cert rescue verify dump bench top'
	COMPREPLY=()

	if ((COMP_CWORD == 1)); then
		mapfile -t COMPREPLY < <(compgen -W "$commands --help --version" -- "$cur")
		return
	fi
	command=${COMP_WORDS[1]}

	case $prev in
	--mount | --data | --dir)
		compopt -o filenames 2>/dev/null
		mapfile -t COMPREPLY < <(compgen -d -- "$cur")
		return
		;;
	--config)
		compopt -o filenames 2>/dev/null
		mapfile -t COMPREPLY < <(compgen -f -- "$cur")
		return
		;;
	--set)
		compopt -o nospace 2>/dev/null
		mapfile -t COMPREPLY < <(compgen -W "$(_topicfs_settings "${COMP_WORDS[0]}")" -- "$cur")
		return
		;;
	--log-level)
		mapfile -t COMPREPLY < <(compgen -W 'debug info warn error' -- "$cur")
		return
		;;
	--node | --rack | --interval | --count | --pairs | --seconds)
		return
		;;
	esac

	case $command in
	broker) options='--mount --data --node --rack --config --set --log-level --help' ;;
	top) options='--mount --interval --count --help' ;;
	bench) options='--dir --pairs --seconds --help' ;;
	*) options='--help' ;;
	esac
	if [[ $cur == -* ]]; then
		mapfile -t COMPREPLY < <(compgen -W "$options" -- "$cur")
		return
	fi
	case $command in
	bench)
		mapfile -t COMPREPLY < <(compgen -W 'append bulk read fsync' -- "$cur")
		;;
	verify | top)
		compopt -o filenames 2>/dev/null
		mapfile -t COMPREPLY < <(compgen -d -- "$cur")
		;;
	dump)
		compopt -o filenames 2>/dev/null
		mapfile -t COMPREPLY < <(
			compgen -d -- "$cur"
			compgen -f -X '!*.meta' -- "$cur"
		)
		;;
	esac
}

complete -F _topicfs topicfs
