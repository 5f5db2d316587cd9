#!/usr/bin/env bash
# The demo with its daemons in containers: four nodes, four signers and the public page from the images of make dist, by podman and
# runc, without root, capabilities, a shell, or anything to write on but their homes. It goes through a keygen to an active vault, the
# loss of a signer, whose keyshares the image of recover-keyshares brings back, and a signature. Then docker-compose starts the same
# network from the compose.yaml that the demo leaves, and it makes another vault.
#
# usage: scripts/containers.sh VERSION        as root; the images are loaded, as localhost/NAME:VERSION, and the binaries are in build/
set -euo pipefail
cd "$(dirname "$0")/.."
bin=$(mktemp -d)
stop() {
	[[ ! -e $bin/up ]] || compose down >>"$bin/log" 2>&1 || true
	[[ -z ${service:-} ]] || kill "$service" 2>/dev/null || true
	rm -rf "$bin"
}
trap stop EXIT
export VERSION=$1 BUILD=$PWD/build CONTAINERS_CONF=$bin/containers.conf
# crun and journald are not everywhere.
printf '[engine]\nruntime = "runc"\nevents_logger = "file"\n' >"$CONTAINERS_CONF"
# docker-compose, which asks podman as it asks docker.
compose() { DOCKER_HOST=unix://$bin/podman.sock docker-compose --file .demo/compose.yaml "$@"; }

# What a person or a script would type runs as it is, and what runs for long, and the tool, in a container.
cat >"$bin/bifrost" <<'SH'
#!/usr/bin/env bash
set -euo pipefail
name=$(basename "$0")
mounts=() before='' given=' '
for arg in "$@"; do
	case $before in
	--home) mounts+=("$arg") ;;
	--out) mounts+=("$(dirname "$arg")") ;;
	--mnemonic-file) mounts+=("$arg") ;;
	esac
	before=$arg given+="$arg "
done
case "$name$given" in
'bifrost start '*)
	backups=$(dirname "${mounts[0]}")/backups
	mkdir -p "$backups"
	mounts+=("$backups")
	;;
'tssbackupd start '* | 'tssbackup-watch '*'--listen '* | 'recover-keyshares '*'--out '*) ;;
*) exec "$BUILD/$name" "$@" ;;
esac
volumes=()
for path in "${mounts[@]}"; do
	chown -R 65532:65532 "$path" # the user of the images
	volumes+=(--volume "$path:$path")
done
exec podman run --rm --ulimit nofile=4096:4096 --ulimit nproc=4096:4096 \
	--network=host --read-only --read-only-tmpfs=false --cap-drop=all --security-opt=no-new-privileges --pids-limit=200 \
	"${volumes[@]}" "localhost/$name:$VERSION" "$@"
SH
chmod +x "$bin/bifrost"
for name in tssbackupd recover-keyshares tssbackup-watch; do ln -s bifrost "$bin/$name"; done
go run ./testutil/demo -watch -bin "$bin"

echo "-- the same network by docker-compose"
podman system service --time=0 "unix://$bin/podman.sock" >"$bin/service" 2>&1 &
service=$!
until [[ -S $bin/podman.sock ]]; do
	kill -0 "$service" || exit 1
	read -rt 0.1 <> <(:) || true
done
# Sets for tests, of which the first keygen took others.
for i in 0 1 2 3; do
	build/bifrost init --home ".demo/signer$i" --preparams "testutil/fixture/preparams/04$((4 + i)).json" >"$bin/log" 2>&1
done
chown -R 65532:65532 .demo/{validator?,signer?,backups,state}
touch "$bin/up"
# All but Prometheus, whose image is in a registry.
compose up --detach validator{0..3} signer{0..3} page >"$bin/log" 2>&1 || {
	cat "$bin/log" >&2
	exit 1
}
summary() { sed -n "s,^ *\"$1\": \"\(.*\)\"\,\{0\,1\}$,\1,p" .demo/summary.json; }
mapfile -t nodes < <(summary rpc)
page=$(summary page)
until_it() { # what, command: the command succeeds within five minutes
	local what=$1 end=$((SECONDS + 300))
	shift
	until "$@" >"$bin/last" 2>&1; do
		((SECONDS < end)) || {
			echo "waited for $what:" >&2
			cat "$bin/last" >&2
			compose logs signer0 2>&1 | tail -20 >&2
			exit 1
		}
		read -rt 0.5 <> <(:) || true
	done
}
says() { # each of these texts is in the page's JSON
	local json text
	json=$(curl -fsS "$page/coverage.json") && echo "$json"
	for text in "$@"; do [[ $json == *"$text"* ]] || return 1; done
}
send() { # member, transaction
	local i=$1
	shift
	build/tssbackupd tx "$@" --home ".demo/validator$i" --from operator --keyring-backend test --chain-id "$(summary chain_id)" \
		--node "tcp${nodes[i]#http}" --gas 500000 --fees 5000stake --yes --output json
}
proposed() { build/tssbackupd query gov proposal "$1" --node "tcp${nodes[0]#http}"; }
decided() { # proposal
	decision=$(proposed "$1" | grep -oE 'PASSED|REJECTED|FAILED|VOTING')
	[[ -n $decision && $decision != VOTING ]]
}
until_it "the page to show the vault that was there" says '"state":"verified"' '"title":"The vault is recoverable"'
up() { [[ $(curl -fsS "${nodes[$1]}/status") == *'"catching_up":false'* ]]; }
for i in 0 1 2 3; do until_it "node $i to be up" up "$i"; done
# The voting takes four seconds, in which two votes are enough, and on a busy machine none may come in time: then once more.
for proposal in 2 3 4 5 6; do
	send 0 tssbackup start-churn --title Churn --summary again --deposit 10000000stake >/dev/null
	until_it "proposal $proposal" proposed "$proposal"
	votes=()
	for i in 0 1 2 3; do
		send "$i" gov vote "$proposal" yes >/dev/null &
		votes+=($!)
	done
	wait "${votes[@]}" || true
	until_it "the end of proposal $proposal" decided "$proposal"
	[[ $decision != PASSED ]] || break
done
until_it "another vault" says '"title":"Every vault is recoverable"'
echo "   another keygen, and the page says: Every vault is recoverable"
how=$(podman ps --filter "ancestor=localhost/bifrost:$VERSION" --quiet | xargs podman inspect \
	--format '{{.HostConfig.ReadonlyRootfs}} {{.Config.User}} {{len .EffectiveCaps}}' | sort | uniq -c | xargs)
[[ $how == '4 true 65532:65532 0' ]] || {
	echo "the signers ran otherwise: $how" >&2
	exit 1
}
echo "-- done"
