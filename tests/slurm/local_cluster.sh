#!/usr/bin/env bash
# A Slurm of one machine on the loopback interface, for tests: local_cluster.sh start DIR | stop DIR
#
# munged, slurmctld and slurmd keep everything in DIR and use ports of their own, so that a Slurm of the machine is not
# touched. After `start`, SLURM_CONF=DIR/slurm.conf makes sbatch and its kin talk to it. It has to run as root. On
# Debian: apt-get install --no-install-recommends slurmctld slurmd slurm-client munge
set -euo pipefail

action=${1:?start or stop} folder=${2:?a folder}

start() {
    mkdir -p "$folder"/{state,spool,munge}
    chmod 700 "$folder/munge"
    local socket=$folder/munge/socket host cores port
    host=$(hostname -s) cores=$(nproc)
    port=$((20000 + RANDOM % 20000))
    (umask 077 && head -c 128 /dev/urandom >"$folder/munge/key")
    munged --force --key-file="$folder/munge/key" --socket="$socket" --pid-file="$folder/munge/pid" \
        --log-file="$folder/munge/log" --seed-file="$folder/munge/seed"
    cat >"$folder/slurm.conf" <<CONF
ClusterName=local
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=$port
SlurmdPort=$((port + 1))
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket=$socket
CredType=cred/munge
StateSaveLocation=$folder/state
SlurmdSpoolDir=$folder/spool
SlurmctldPidFile=$folder/slurmctld.pid
SlurmdPidFile=$folder/slurmd.pid
SlurmctldLogFile=$folder/slurmctld.log
SlurmdLogFile=$folder/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SchedulerType=sched/builtin
JobRequeue=1
ReturnToService=2
KillWait=5
MinJobAge=600
# Time limits in minutes are checked each minute, to the second.
OverTimeLimit=0
SlurmdParameters=config_overrides
NodeName=$host NodeAddr=127.0.0.1 CPUs=$((cores > 4 ? cores : 4)) RealMemory=4000 State=UNKNOWN
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP
CONF
    export SLURM_CONF=$folder/slurm.conf
    slurmctld -c
    slurmd -c
    for _ in $(seq 60); do
        if [ "$(sinfo -h -o %t 2>/dev/null)" = idle ]; then
            return
        fi
        sleep 0.5
    done
    tail -n 20 "$folder/slurmctld.log" "$folder/slurmd.log" >&2
    echo "error: the node did not become idle" >&2
    return 1
}

# Ends a process, the hard way if it does not end within ten seconds.
end() {
    kill "$1" 2>/dev/null || return 0
    for _ in $(seq 50); do
        kill -0 "$1" 2>/dev/null || return 0
        sleep 0.2
    done
    kill -9 "$1" 2>/dev/null || true
}

stop() {
    local pid
    for pid in "$folder"/slurmd.pid "$folder"/slurmctld.pid "$folder"/munge/pid; do
        if [ -s "$pid" ]; then
            end "$(cat "$pid")"
        fi
    done
}

"$action"
