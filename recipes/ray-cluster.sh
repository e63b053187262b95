#!/bin/bash
# A Ray cluster from machines that can reach each other; the same environment must be installed on all of them:
#
#     recipes/ray-cluster.sh head                      # on the first machine; prints its address
#     recipes/ray-cluster.sh worker HOST:PORT          # on each of the others, at any time
#     recipes/ray-cluster.sh run HOST:PORT icml2023    # on any of them, as often as you like
#     ray stop                                         # on each of them, in the end
#
# Ray asks whoever joins for the token in ~/.ray/auth_token: copy the first machine's file to the others. `run` goes on
# where it was, so it can be repeated after anything; nodes may join and leave in the middle.
set -euo pipefail
export RAY_USAGE_STATS_ENABLED=0 RAY_AUTH_MODE=token

role=${1:?head, worker or run}
shift
case $role in
    head)
        [ -n "${RAY_AUTH_TOKEN:-}" ] || ray get-auth-token --generate > /dev/null
        exec ray start --head --include-dashboard=false "$@"
        ;;
    worker)
        exec ray start --address "${1:?HOST:PORT of the head}" "${@:2}"
        ;;
    run)
        exec evoplastic run "${@:2}" --backend ray --address "${1:?HOST:PORT of the head}" --resume-if-exists
        ;;
    *)
        echo "the first word must be head, worker or run, got $role" >&2
        exit 2
        ;;
esac
