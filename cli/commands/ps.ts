/** `hlsim ps`: the processes of the cluster that `hlsim up` started, and what they do. */
import { Command } from 'commander';
import type { ClusterStatus, HostStatus } from '../../coordinator/status.ts';
import {
  ClusterFile,
  type ClusterRecord,
  readCluster,
  stateDirectory,
  stateDirFlag,
} from '../cluster-file.ts';
import { fetchStatus } from '../cluster-status.ts';
import type { CommandContext } from '../context.ts';
import { addFlags, readFlags, toggle } from '../flags.ts';
import { isAlive } from '../process-identity.ts';
import { renderTable } from '../table.ts';
import { counted } from '../wording.ts';

const psFlags = {
  json: toggle({
    name: 'json',
    description: 'print JSON',
    // HLSIM_JSON is a file name, of other commands.
    environment: 'HLSIM_PS_JSON',
  }),
  stateDir: stateDirFlag,
} as const;

interface ProcessRow {
  readonly name: string;
  readonly pid: number;
  readonly state: 'running' | 'dead';
  readonly ranks: readonly number[];
  /** Where the coordinator, or the data links of a host, can be reached. */
  readonly address: string;
  readonly log: string;
}

export function psCommand(context: CommandContext): Command {
  const command = new Command('ps').description('Show the cluster that hlsim up started');
  addFlags(command, psFlags).addHelpText(
    'after',
    `
Examples:
  hlsim ps
  hlsim ps --json --state-dir ./state`,
  );
  return command.action(async () => {
    const flags = readFlags(command, psFlags);
    const record = readCluster(new ClusterFile(stateDirectory(flags.stateDir)));
    const status = await fetchStatus(record, context.scheduler);
    const processes = record.daemons.map((daemon) => processRow(daemon, record, status));
    if (flags.json) context.terminal.result(JSON.stringify({ processes, cluster: status ?? null }));
    else context.terminal.result(render(record, processes, status));
  });
}

function processRow(
  daemon: ClusterRecord['daemons'][number],
  { url }: ClusterRecord,
  status: ClusterStatus | undefined,
): ProcessRow {
  const host = status?.hosts.find(({ pid }) => pid === daemon.pid);
  const { name, pid, log } = daemon;
  const address = name === 'coordinator' ? (url ?? '') : addressOf(host);
  const state = isAlive(daemon) ? 'running' : 'dead';
  return { name, pid, log, state, address, ranks: host?.ranks ?? [] };
}

function addressOf(host: HostStatus | undefined): string {
  return host === undefined ? '' : `${host.link.host}:${host.link.port}`;
}

function render(
  record: ClusterRecord,
  processes: readonly ProcessRow[],
  status: ClusterStatus | undefined,
): string {
  const rows = processes.map(({ name, pid, state, ranks, address }) => [
    name,
    String(pid),
    state,
    ranks.join(','),
    address,
  ]);
  const table = renderTable(['PROCESS', 'PID', 'STATE', 'RANKS', 'ADDRESS'], rows);
  return `${sentence(record, status)}\n${table}`;
}

function sentence(record: ClusterRecord, status: ClusterStatus | undefined): string {
  if (status === undefined) return 'The coordinator does not answer.';
  const { hosts, expectedHosts, state, epoch, job } = status;
  const work = job === null ? 'no job' : `job ${job.jobId} (${job.program}) ${job.phase}`;
  return `${hosts.length} of ${counted(expectedHosts, 'host')} with ${counted(record.devices, 'device')} each, ${state}, epoch ${epoch}, ${work}`;
}
