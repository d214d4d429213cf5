# What the blocks of a page find in the shell: the gateway goes on beside the page, loads are short, and cargo builds nothing.
set -Eeuo pipefail
trap 'printf "ends with %s: %s\n" "$?" "$BASH_COMMAND"' ERR

# Standard input ends when the test does, however it ends: then all that a page has started ends, too.
exec 9<&0 </dev/null
(read -r _ <&9 || kill -KILL 0) &

page_place=
page_gateway=

# A reader is slower than the gateway: when the next block begins, it has kept what it rejected.
at() {
    page_place=$1
    if [ -n "$page_gateway" ]; then
        until curl -sf "http://$HEADGATE_OPERATE__LISTEN/metrics" | awk '
            /^headgate_events_settled_total.*verdict="rejected"/ { rejected += $2 }
            /^headgate_bad_rows_(written|dropped)_total/ { kept += $2 }
            END { exit rejected != kept }'; do
            kill -0 "$page_gateway"
            sleep 0.05
        done
    fi
    printf '\n@@ %s\n' "$page_place"
}

# Writes a command down: the place, how many words it has, and they, each with a NUL behind it.
record() {
    printf '%s\0' "$page_place" "$#" "$@" >>"$RECORDS"
}

# `serve` goes on in another terminal, and a page that starts another one has ended the first. `replay` finds the gateway
# where this one listens.
headgate() {
    case "${1:-} $*" in
        "serve "*)
            end_gateway
            (exec headgate "$@") &
            page_gateway=$!
            until command headgate healthcheck --ready 2>/dev/null; do
                kill -0 "$page_gateway"
                sleep 0.05
            done
            ;;
        "replay "*" --to-endpoint "*) command headgate "$@" ;;
        "replay "*) command headgate "$@" --to-endpoint "http://$HEADGATE_GRPC__LISTEN" ;;
        *) command headgate "$@" ;;
    esac
}

end_gateway() {
    [ -n "$page_gateway" ] || return 0
    kill -TERM "$page_gateway"
    wait "$page_gateway"
    page_gateway=
}

target/release/headgate() {
    headgate "$@"
}

# A load of seconds, so small that any machine can make it. What is judged is the command: the verdict may be that a rule does
# not hold (3) or that the machine was busy (4).
headgate-loadtest() {
    if [ "${1:-}" != run ]; then
        command headgate-loadtest "$@"
        return
    fi
    local words=() run_time=4s status=0
    shift
    while [ $# -gt 0 ]; do
        case $1 in
            --host | --run-time | --drain | --players | --event-rate) shift ;;
            # Its phases take so long at the least.
            noisy-neighbour) run_time=12s words+=("$1") ;;
            *) words+=("$1") ;;
        esac
        shift
    done
    words=(run --host "http://$HEADGATE_GRPC__LISTEN" --run-time "$run_time" --drain 2s --players 2000 "${words[@]}")
    command headgate-loadtest "${words[@]}" || status=$?
    [ "$status" = 0 ] || [ "$status" = 3 ] || [ "$status" = 4 ]
}

cargo() {
    record cargo "$@"
    case " $* " in
        *" run "*" headgate-loadtest -- "*)
            while [ "$1" != -- ]; do shift; done
            headgate-loadtest "${@:2}"
            ;;
    esac
}

# A reader who asks a lake has sent something.
duckdb() {
    some_rows
    command duckdb "$@"
}

some_rows() {
    [ -z "$(find headgate-data/lake -name '*.parquet')" ] || return 0
    local key application
    key=$(cat headgate-data/demo-api-key)
    application=$(command headgate apps show demo --output json | jq -r .application_id)
    curl -sf "http://$HEADGATE_REST__LISTEN/applications/$application/events" -H "Authorization: $key" -d '{"events": [{
        "event_id": "0f3b6c1e-52d7-4f0c-9d6b-6a7c1f5c9d01", "event_type": "login", "event_name": "player_login",
        "event_timestamp": '"$(date +%s)"', "event_data": {"player_id": "p-1", "session_id": "s-1"}}]}'
    command headgate lake compact
}

