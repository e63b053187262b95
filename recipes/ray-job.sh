#!/bin/bash
# Submit a run to a Ray cluster that has a dashboard (KubeRay, a cloud, `ray start --head`), from any machine:
#
#     RAY_API_SERVER_ADDRESS=http://HEAD:8265 recipes/ray-job.sh FOLDER icml2023 --seed 0
#
# FOLDER is where the head keeps runs; what follows goes to `evoplastic run`. The package and run files travel with the
# job, the libraries must be installed on the cluster. A job runs once: submit it again, and it goes on where it was.
set -euo pipefail

folder=${1:?the folder in which the head keeps runs}
shift
python -c 'import aiohttp, ray.dashboard.modules.job.sdk' 2> /dev/null || {
    echo "submitting jobs needs the dashboard part of Ray: pip install 'evoplastic[cluster]'" >&2
    exit 2
}

if [ -n "${RAY_AUTH_TOKEN:-}" ] || [ -f ~/.ray/auth_token ]; then
    export RAY_AUTH_MODE=${RAY_AUTH_MODE:-token} # a cluster that asks for no token does not mind one
fi

shipped=$(mktemp -d)
trap 'rm -rf "$shipped"' EXIT
python -c 'import sys; from evoplastic.evaluators.ray_cluster import ship; ship(sys.argv[1])' "$shipped"
words=()
for word in "$@"; do
    case $word in
        *.toml)
            cp "$word" "$shipped/"
            words+=("$(basename "$word")")
            ;;
        *) words+=("$word") ;;
    esac
done
ray job submit --working-dir "$shipped" -- \
    python -m evoplastic run "${words[@]}" --runs-dir "$folder" --backend ray --address auto --resume-if-exists
