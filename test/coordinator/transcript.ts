/**
 * Runs the transcripts of `testdata/`: conversations of hosts and clients with the coordinator's state
 * machines, as readable text. A block is a command, `----`, and what came out:
 *
 *     join b devices=1
 *     ----
 *     b <- HLCP_ACCEPTED expectedHosts=2
 *
 * Commands (`key=value` arguments, defaults in brackets):
 *   cluster hosts=N                                    first line of every transcript
 *   join HOST [devices=1] [version=ours] [node=node-HOST] the host's name is its connection's
 *   comm HOST rank= nranks= [id=u] [epoch=0] [node=]   a rank joins a communicator
 *   comm-error HOST rank= [id=u] [epoch=0] message=
 *   sync HOST rank= sequence=      set HOST key= value=      get HOST key= request=
 *   output HOST rank= text=        report HOST rank= json=   exit HOST rank= code= [message=]
 *   close HOST reason=             the connection ends
 *   freeze HOST                    no more heartbeats
 *   client CLIENT [version=ours]   submit CLIENT [hosts=] [timeout=10000]
 *   cancel CLIENT                  leave CLIENT              shutdown CLIENT
 *   heartbeat CLIENT sequence=     smi CLIENT request=
 *   evict CLIENT request= host= device= [grace=1000] [retries=3]
 *   devices HOST request=          a host without devices answers smi
 *   step HOST request= text=       done HOST request= outcome=
 *   trace CLIENT request= [events=1000]                untrace CLIENT request=
 *   tracing HOST request= [message=]                   a host notes down, or says why not
 *   events HOST request= json=     traced HOST request= [dropped=0]
 *   clock HOST sequence=
 *   advance MS                     time passes; living hosts send heartbeats
 *   oversleep MS                   time passes, but the coordinator does not run
 *   status
 * Job messages are about the latest job unless `job=` names another. `_` in a value is a space.
 * Lines that came out while time passed carry the time. Acknowledged heartbeats of hosts are not shown.
 */
import { Cluster, type ClusterEvent } from '../../coordinator/cluster.ts';
import type { OutwardEffect } from '../../coordinator/effect.ts';
import {
  type ClientToCoordinator,
  HEARTBEAT_INTERVAL_MS,
  HLCP_VERSION,
  type HostToCoordinator,
} from '../../coordinator/hlcp/messages.ts';
import type { ClusterStatus } from '../../coordinator/status.ts';
import { type Arguments, number, string } from './transcript-arguments.ts';
import { traceAnswer, traceQuestion } from './transcript-traces.ts';

interface Command {
  readonly verb: string;
  readonly who: string;
  readonly args: Arguments;
}

export class Transcript {
  #cluster = new Cluster({ expectedHosts: 1, newJobId: () => 'none', now: 0 });
  #now = 0;
  #jobs = 0;
  #pids = 100;
  #heartbeats = 0;
  readonly #beating = new Set<string>();
  readonly #lines: string[] = [];
  #shown = '';

  run(line: string): string {
    this.#lines.length = 0;
    const command = parse(line);
    switch (command.verb) {
      case 'cluster':
        this.#cluster = new Cluster({
          expectedHosts: number(command.args, 'hosts'),
          newJobId: () => `job-${++this.#jobs}`,
          now: 0,
        });
        break;
      case 'freeze':
        this.#beating.delete(command.who);
        break;
      case 'advance':
        this.#advance(Number(command.who));
        break;
      case 'oversleep':
        this.#now += Number(command.who);
        this.#handle({ type: 'tick' });
        break;
      case 'status':
        this.#lines.push(...renderStatus(this.#cluster.status(this.#now)));
        break;
      default:
        this.#handle(this.#event(command));
    }
    return this.#lines.length === 0 ? 'nothing' : this.#lines.join('\n');
  }

  #advance(ms: number): void {
    const end = this.#now + ms;
    for (;;) {
      const beatMs = Math.floor(this.#now / HEARTBEAT_INTERVAL_MS + 1) * HEARTBEAT_INTERVAL_MS;
      const tickMs = this.#cluster.deadlineMs() ?? Number.POSITIVE_INFINITY;
      const next = Math.max(this.#now, Math.min(beatMs, tickMs));
      if (next > end) break;
      this.#now = next;
      if (next === beatMs) {
        for (const host of this.#beating) {
          const message = { type: 'HLCP_HEARTBEAT', sequence: this.#heartbeats++ } as const;
          this.#handle({ type: 'hostMessage', peer: host, message }, `${next} `);
        }
      }
      if (next >= tickMs) this.#handle({ type: 'tick' }, `${next} `);
    }
    this.#now = end;
  }

  #handle(event: ClusterEvent, prefix = ''): void {
    this.#shown = '';
    for (const effect of this.#cluster.handle(event, this.#now)) this.#show(effect, prefix);
  }

  /** One line per effect; the same message to several hosts in a row is one line. */
  #show(effect: OutwardEffect, prefix: string): void {
    if (effect.type === 'close') this.#beating.delete(effect.peer);
    if (effect.type === 'toHost' && effect.message.type === 'HLCP_HEARTBEAT_ACK') return;
    if (effect.type !== 'toHost' && effect.type !== 'toClient') {
      this.#shown = '';
      this.#lines.push(`${prefix}${renderOther(effect)}`);
      return;
    }
    const text = render(effect.message);
    const last = this.#lines.at(-1);
    if (text === this.#shown && last !== undefined) {
      this.#lines[this.#lines.length - 1] = last.replace(' <- ', ` ${effect.peer} <- `);
    } else this.#lines.push(`${prefix}${effect.peer} <- ${text}`);
    this.#shown = text;
  }

  #event({ verb, who, args }: Command): ClusterEvent {
    switch (verb) {
      case 'close':
        this.#beating.delete(who);
        return { type: 'hostClosed', peer: who, reason: string(args, 'reason') };
      case 'leave':
        return { type: 'clientClosed', peer: who };
      case 'client': {
        const version = number(args, 'version', HLCP_VERSION);
        const message = { type: 'HLCP_CLIENT_HELLO', version } as const;
        return { type: 'clientMessage', peer: who, message };
      }
      case 'heartbeat': {
        const message = { type: 'HLCP_HEARTBEAT', sequence: number(args, 'sequence') } as const;
        return { type: 'clientMessage', peer: who, message };
      }
      case 'submit': {
        const spec = { program: '/p.js', arguments: [], environment: {} };
        const hosts = args['hosts'] === undefined ? undefined : number(args, 'hosts');
        const message = {
          type: 'HLCP_JOB_SUBMIT',
          spec,
          hosts,
          joinTimeoutMs: number(args, 'timeout', 10_000),
        } as const;
        return { type: 'clientMessage', peer: who, message };
      }
      case 'cancel': {
        const message = { type: 'HLCP_JOB_CANCEL', jobId: this.#jobId(args) } as const;
        return { type: 'clientMessage', peer: who, message };
      }
      case 'smi':
      case 'evict':
        return { type: 'clientMessage', peer: who, message: deviceQuestion(verb, args) };
      case 'devices':
      case 'step':
      case 'done':
        return { type: 'hostMessage', peer: who, message: deviceAnswer(verb, args) };
      case 'trace':
      case 'untrace':
        return { type: 'clientMessage', peer: who, message: traceQuestion(verb, args) };
      case 'tracing':
      case 'events':
      case 'traced':
        return { type: 'hostMessage', peer: who, message: traceAnswer(verb, args) };
      case 'clock': {
        const message = { type: 'HLCP_CLOCK_ASK', sequence: number(args, 'sequence') } as const;
        return { type: 'hostMessage', peer: who, message };
      }
      case 'shutdown':
        return { type: 'clientMessage', peer: who, message: { type: 'HLCP_CLUSTER_SHUTDOWN' } };
      case 'join':
        this.#beating.add(who);
        return { type: 'hostMessage', peer: who, message: rankData(who, args, ++this.#pids) };
      default:
        return { type: 'hostMessage', peer: who, message: this.#jobMessage(verb, who, args) };
    }
  }

  #jobId(args: Arguments): string {
    return args['job'] ?? `job-${this.#jobs}`;
  }

  #jobMessage(verb: string, who: string, args: Arguments): HostToCoordinator {
    const jobId = this.#jobId(args);
    const comm = { jobId, uniqueId: args['id'] ?? 'u', epoch: number(args, 'epoch', 0) };
    const rank = number(args, 'rank', -1);
    switch (verb) {
      case 'comm':
        return {
          type: 'HLCP_COMM_DATA',
          ...comm,
          nranks: number(args, 'nranks'),
          member: {
            rank,
            nodeId: args['node'] ?? `node-${who}`,
            endpoint: Uint8Array.of(rank),
            slots: { address: 0, rkey: 'k', bytes: 0 },
          },
        };
      case 'comm-error':
        return {
          type: 'HLCP_COMM_ERROR',
          ...comm,
          rank,
          failure: { code: 'HLSIM_HOST_LOST', message: string(args, 'message') },
        };
      case 'sync':
        return { type: 'HLCP_SYNC', jobId, rank, sequence: number(args, 'sequence') };
      case 'set':
        return {
          type: 'HLCP_STORE_SET',
          jobId,
          key: string(args, 'key'),
          value: string(args, 'value'),
        };
      case 'get':
        return {
          type: 'HLCP_STORE_GET',
          jobId,
          key: string(args, 'key'),
          requestId: number(args, 'request'),
        };
      case 'output':
        return {
          type: 'HLCP_JOB_OUTPUT',
          jobId,
          rank,
          stream: 'stdout',
          text: string(args, 'text'),
        };
      case 'report':
        return { type: 'HLCP_JOB_REPORT', jobId, rank, json: string(args, 'json') };
      case 'exit': {
        const message = args['message'];
        return {
          type: 'HLCP_RANK_EXIT',
          jobId,
          rank,
          exitCode: number(args, 'code'),
          ...(message === undefined
            ? {}
            : { failure: { code: 'HLSIM_JOB_FAILED', message: string(args, 'message') } }),
        };
      }
      default:
        throw new Error(`Expected a command of transcript.ts but found ${verb}`);
    }
  }
}

function rankData(host: string, args: Arguments, pid: number): HostToCoordinator {
  return {
    type: 'HLCP_RANK_DATA',
    version: number(args, 'version', HLCP_VERSION),
    nodeId: args['node'] ?? `node-${host}`,
    hostname: host,
    pid,
    devices: number(args, 'devices', 1),
    hbmBytes: 1024,
    link: { host: '127.0.0.1', port: pid },
  };
}

function deviceQuestion(verb: 'smi' | 'evict', args: Arguments): ClientToCoordinator {
  const requestId = number(args, 'request');
  if (verb === 'smi') return { type: 'HLCP_DEVICE_STATUS', requestId };
  return {
    type: 'HLCP_EVICT',
    requestId,
    host: number(args, 'host'),
    device: number(args, 'device'),
    graceMs: number(args, 'grace', 1_000),
    retries: number(args, 'retries', 3),
  };
}

function deviceAnswer(verb: 'devices' | 'step' | 'done', args: Arguments): HostToCoordinator {
  const requestId = number(args, 'request');
  switch (verb) {
    case 'devices':
      return {
        type: 'HLCP_DEVICE_REPORT',
        requestId,
        devices: [],
        dmaBufs: [],
        dmaBufsOmitted: 0,
      };
    case 'step': {
      const text = string(args, 'text');
      const step = { trial: 1, action: 'checked', status: 'OPERATIONAL', text } as const;
      return { type: 'HLCP_EVICT_STEP', requestId, step };
    }
    case 'done': {
      const outcome = string(args, 'outcome') === 'free' ? 'free' : 'disabled';
      return { type: 'HLCP_EVICT_DONE', requestId, outcome };
    }
  }
}

function parse(line: string): Command {
  const [verb = '', ...words] = line.trim().split(/\s+/);
  const args: Record<string, string> = {};
  let who = '';
  for (const word of words) {
    const equals = word.indexOf('=');
    if (equals === -1) who = word;
    else args[word.slice(0, equals)] = word.slice(equals + 1);
  }
  return { verb, who, args };
}

function renderStatus({ state, epoch, expectedHosts, hosts, job }: ClusterStatus): string[] {
  return [
    `${state} epoch=${epoch} hosts=${hosts.length}/${expectedHosts}`,
    ...hosts.map(
      ({ index, hostname, ranks, liveness, silentMs }) =>
        `${index} ${hostname} ranks=${ranks.join(',')} ${liveness} silentMs=${silentMs}`,
    ),
    job === null ? 'no job' : `${job.jobId} ${job.phase} ranks=${job.ranksLive}/${job.nranks}`,
  ];
}

function renderOther(effect: Exclude<OutwardEffect, { type: 'toHost' | 'toClient' }>): string {
  if (effect.type === 'close') return `${effect.peer} is closed`;
  if (effect.type === 'log') return `log ${effect.level}: ${effect.message}`;
  return effect.type;
}

function render(message: { readonly type: string }): string {
  const { type, ...fields } = message;
  const words = Object.entries(fields)
    .filter(([, value]) => value !== undefined)
    .map(([key, value]) => `${key}=${renderValue(key, value)}`);
  return [type, ...words].join(' ');
}

/** Lists of hosts as `index:hostname`, of members as `rank:node`; the rest as JSON without noise. */
function renderValue(key: string, value: unknown): string {
  if (key === 'hosts') {
    const hosts = value as readonly { index: number; hostname: string }[];
    return hosts.map(({ index, hostname }) => `${index}:${hostname}`).join(',');
  }
  if (key === 'members') {
    const members = value as readonly { rank: number; nodeId: string }[];
    return members.map(({ rank, nodeId }) => `${rank}:${nodeId}`).join(',');
  }
  if (key === 'failure') return renderFailure(value);
  if (key === 'failures') {
    const failures = value as readonly { host: { hostname: string }; failure: unknown }[];
    return `[${failures.map(({ host, failure }) => `${host.hostname}: ${renderFailure(failure)}`).join('; ')}]`;
  }
  if (key === 'host' && typeof value === 'object') {
    const { index, hostname } = value as { index: number; hostname: string };
    return `${index}:${hostname}`;
  }
  if (key === 'step') return JSON.stringify((value as { text: string }).text);
  if (key === 'spec') return (value as { program: string }).program;
  return typeof value === 'string' && /^[\w./:-]+$/.test(value) ? value : JSON.stringify(value);
}

function renderFailure(value: unknown): string {
  const { code, message } = value as { code: string; message: string };
  return `${code} ${JSON.stringify(message)}`;
}
