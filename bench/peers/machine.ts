/** The machine that figures were measured on: without it they mean nothing. */
import { readFileSync } from 'node:fs';
import os from 'node:os';
import process from 'node:process';

export interface Machine {
  readonly cpu: string;
  readonly cores: number;
  readonly memoryBytes: number;
  readonly kernel: string;
  readonly architecture: string;
  readonly node: string;
  /** Of TCP connections that ask for none; null where the system does not say. */
  readonly congestionControl: string | null;
  /** Processes that wanted a core over the last minute, before the run. */
  readonly loadBefore: number;
}

export function describeMachine(): Machine {
  return {
    cpu: os.cpus()[0]?.model.trim() ?? 'unknown',
    cores: os.availableParallelism(),
    memoryBytes: os.totalmem(),
    kernel: `${os.type()} ${os.release()}`,
    architecture: os.arch(),
    node: process.version,
    congestionControl: congestionControl(),
    loadBefore: os.loadavg()[0] ?? 0,
  };
}

export function machineLines(machine: Machine): readonly string[] {
  const { cpu, cores, memoryBytes, kernel, architecture, node, congestionControl } = machine;
  const memory = `${(memoryBytes / 2 ** 30).toFixed(0)} GiB`;
  const lines = [
    `# Machine: ${cpu}, ${cores} cores, ${memory}, ${kernel} ${architecture}, Node.js ${node}`,
    `# TCP congestion control: ${congestionControl ?? 'unknown'}; load before the run: ${machine.loadBefore.toFixed(2)}`,
  ];
  if (machine.loadBefore < cores / 2) return lines;
  return [...lines, '# The machine was busy before the run began: these figures are noisy'];
}

function congestionControl(): string | null {
  try {
    return readFileSync('/proc/sys/net/ipv4/tcp_congestion_control', 'utf8').trim();
  } catch {
    return null;
  }
}
