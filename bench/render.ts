/**
 * A sweep as nccl-tests prints it (src/util.cu there): layout and strings are kept, because people and
 * scripts read them. What is ours: the clock line, and what stands for the device.
 */
import { defined } from '../common/assert.ts';
import { formatBytes } from '../common/bytes.ts';
import type { BenchOptions } from './options.ts';
import type { ChoiceReport } from './report.ts';
import type { BenchFigures, BenchResults, BenchRow } from './results.ts';

/** Who takes part, in rank order. */
export interface BenchDevice {
  readonly rank: number;
  readonly group: number;
  /** Of the host process. */
  readonly pid: number;
  readonly hostname: string;
  /** Index of the device in its host. */
  readonly device: number;
}

/** How a sweep was run, for its record. */
export interface BenchRun {
  readonly devices: readonly BenchDevice[];
  /** Words of the command line. */
  readonly args: readonly string[];
  readonly startTime: Date;
  readonly endTime: Date;
  /** Of hlsim. */
  readonly version: string;
}

/** Of nccl-tests' JSON files. */
const JSON_FILE_VERSION = 2;
const DEVICE_NAME = 'Gaudi (simulated)';

/** Everything above the first row. */
export function renderHeader(options: BenchOptions, devices: readonly BenchDevice[]): string {
  const { minBytes, maxBytes, stepFactor, stepBytes, warmupIterations, iterations } = options;
  const step = stepFactor === undefined ? `${stepBytes}(bytes)` : `${stepFactor}(factor)`;
  return [
    `# Collective test starting: ${programName(options)}`,
    `# nThread 1 nGpus ${devicesPerHost(devices)} minBytes ${minBytes} maxBytes ${maxBytes} step: ${step} warmup iters: ${warmupIterations} iters: ${iterations} agg iters: 1 validation: ${Number(options.check)} graph: 0`,
    `# Time: wall clock of this machine, the slowest rank counts. Algorithm: ${algorithmLine(options)}`,
    '#',
    '# Using devices',
    ...devices.map(deviceLine),
    '#',
    ...columnHeaders(),
  ].join('\n');
}

export function renderRow(row: BenchRow): string {
  const { size, count, type, redop, root, outOfPlace, inPlace, choice } = row;
  const start = [right(size, 12), right(count, 12), right(type, 8), right(redop, 6)];
  const measured = [figures(outOfPlace), figures(inPlace)];
  return [...start, right(root, 6), ...measured, ` ${choiceText(choice)}`].join('  ').trimEnd();
}

/** Everything below the last row. */
export function renderFooter(results: BenchResults): string {
  const { outOfBounds, averageBusBandwidth, options } = results;
  return [
    `# Out of bounds values : ${outOfBounds} ${outOfBounds === 0 ? 'OK' : 'FAILED'}`,
    `# Avg bus bandwidth    : ${general(averageBusBandwidth)}`,
    ...linkLines(results),
    '#',
    `# Collective test concluded: ${programName(options)}`,
  ].join('\n');
}

/** What carries the bytes: in one line if it is the same between all ranks, else a line for each rank. */
function linkLines({ links }: BenchResults): readonly string[] {
  const kinds = new Set([...links.values()].flat().filter((kind) => kind !== null));
  if (kinds.size < 2) return [...kinds].map((kind) => `# Links between ranks  : ${kind}`);
  return [...links]
    .sort(([a], [b]) => a - b)
    .map(([rank, ofRank]) => {
      const others = ofRank.flatMap((kind, peer) => (kind === null ? [] : [`${peer} ${kind}`]));
      return `# Links of rank ${rank} to   : ${others.join(', ')}`;
    });
}

/**
 * nccl-tests' JSON, with its keys; numbers that are text there are text here. Ours: `hlsim_version`,
 * `clock`, `config.algorithm`, and how each row was carried out. The environment stays out of it: it may hold the cluster's token.
 */
export function benchJson(results: BenchResults, run: BenchRun): Readonly<Record<string, unknown>> {
  const { outOfBounds, averageBusBandwidth, options } = results;
  return {
    version: JSON_FILE_VERSION,
    start_time: timeText(run.startTime),
    args: run.args,
    env: [],
    nccl_version: 0,
    hlsim_version: run.version,
    clock: 'wall',
    config: configJson(options, run.devices),
    results: results.rows.map((row) => rowJson(row, options)),
    out_of_bounds: { count: outOfBounds, okay: String(outOfBounds === 0) },
    links: Object.fromEntries(results.links),
    average_bus_bandwidth: { bandwidth: averageBusBandwidth, okay: 'unchecked' },
    end_time: timeText(run.endTime),
  };
}

function configJson(options: BenchOptions, devices: readonly BenchDevice[]) {
  const { stepFactor, stepBytes } = options;
  return {
    nthreads: 1,
    ngpus: devicesPerHost(devices),
    minimum_bytes: options.minBytes,
    maximum_bytes: options.maxBytes,
    ...(stepFactor === undefined ? { step_bytes: stepBytes } : { step_factor: stepFactor }),
    warmup_iters: options.warmupIterations,
    iterations: options.iterations,
    aggregated_iterations: 1,
    validation: Number(options.check),
    graph: 0,
    blocking_collectives: String(options.blocking ?? false),
    per_iter_timing: 'false',
    per_iter_skip: 0,
    parallel_init: 'false',
    algorithm: options.algorithm ?? null,
    devices: devices.map((device) => ({
      ...device,
      device_hex: busAddress(device),
      device_info: DEVICE_NAME,
    })),
  };
}

function rowJson(row: BenchRow, options: BenchOptions) {
  const { outOfPlace, inPlace, root, choice, ...rest } = row;
  return {
    ...rest,
    root: String(root),
    out_of_place: figuresJson(outOfPlace),
    in_place: figuresJson(inPlace),
    actual_iterations: options.iterations,
    experiment_name: programName(options),
    algorithm: choice?.algorithm ?? null,
    channels: choice?.channels ?? null,
    chunks: choice?.chunks ?? null,
    slice_bytes: choice?.sliceBytes ?? null,
  };
}

function figuresJson(measured: BenchFigures | null) {
  if (measured === null) return null;
  const { timeUs, algBw, busBw, wrong, digests } = measured;
  const figuresOfRow = { time: timeUs, alg_bw: algBw, bus_bw: busBw, nwrong: wrong };
  return digests.length === 0 ? figuresOfRow : { ...figuresOfRow, digests };
}

function programName({ collective }: BenchOptions): string {
  return `${collective}_perf`;
}

function devicesPerHost(devices: readonly BenchDevice[]): number {
  return 1 + Math.max(0, ...devices.map(({ device }) => device));
}

function deviceLine(device: BenchDevice): string {
  const { rank, group, pid, hostname } = device;
  return `#  Rank ${right(rank, 2)} Group ${right(group, 2)} Pid ${right(pid, 6)} on ${right(hostname, 10)} device ${right(device.device, 2)} [${busAddress(device)}] ${DEVICE_NAME}`;
}

/** Domain, bus and device, as PCI has them; one bus for each device. */
function busAddress({ device }: BenchDevice): string {
  return `0000:${device.toString(16).padStart(2, '0')}:00`;
}

function columnHeaders(): string[] {
  const line = (start: readonly string[], each: readonly string[]): string => {
    const widths = [10, 12, 8, 6, 6];
    const columns = start.map((text, index) => right(text, defined(widths[index], 'a width')));
    const block = each.map((text, index) => right(text, index === 0 ? 7 : 6));
    return `# ${[...columns, ...block, ...block].join('  ')}`;
  };
  const placement = `# ${right('', 10)}  ${right('', 12)}  ${right('', 8)}  ${right('', 6)}  ${right('', 6)}`;
  return [
    `${placement}           out-of-place                       in-place          `,
    line(['size', 'count', 'type', 'redop', 'root'], ['time', 'algbw', 'busbw', '#wrong']),
    line(['(B)', '(elements)', '', '', ''], ['(us)', '(GB/s)', '(GB/s)', '']),
  ].map((text) => text.trimEnd());
}

function algorithmLine({ algorithm, schedule }: BenchOptions): string {
  if (schedule !== undefined) return 'the schedule file';
  return algorithm ?? 'picked for each size, at the end of its line';
}

/** `ring x2 64 KiB`: algorithm, channels if there are several, slice. */
export function choiceText(choice: ChoiceReport | null): string {
  if (choice === null) return '';
  const { algorithm, channels, sliceBytes } = choice;
  const parallel = channels === 1 ? [] : [`x${channels}`];
  const slice = sliceBytes === undefined ? [] : [formatBytes(sliceBytes)];
  return [algorithm, ...parallel, ...slice].join(' ');
}

function figures(measured: BenchFigures | null): string {
  if (measured === null) return ['    N/A', '   N/A', '   N/A', '   N/A'].join('  ');
  const { timeUs, algBw, busBw, wrong } = measured;
  const times = [figure(timeUs, 7), figure(algBw, 6), figure(busBw, 6)];
  return [...times, right(wrong ?? 'N/A', 6)].join('  ');
}

/** As many decimals as fit, at most two. */
function figure(value: number, width: number): string {
  const digits = value < 1 ? 0 : Math.floor(Math.log10(value)) + 1;
  if (digits > width) return right(value.toExponential(width - 6), width);
  return right(value.toFixed(Math.max(0, Math.min(2, width - 2 - digits + 1))), width);
}

/** The `%g` of printf(3): six significant digits, an exponent below -4 and from 6 on. */
function general(value: number): string {
  const [digits = '', power = ''] = value.toExponential(5).split('e');
  const exponent = Number(power);
  if (exponent >= -4 && exponent < 6) return String(Number(value.toPrecision(6)));
  const sign = exponent < 0 ? '-' : '+';
  return `${Number(digits)}e${sign}${String(Math.abs(exponent)).padStart(2, '0')}`;
}

/** Local time as nccl-tests writes it: `2026-01-31 23:59:59`. */
function timeText(time: Date): string {
  const two = (value: number) => String(value).padStart(2, '0');
  const date = [time.getFullYear(), two(time.getMonth() + 1), two(time.getDate())].join('-');
  const clock = [time.getHours(), time.getMinutes(), time.getSeconds()].map(two).join(':');
  return `${date} ${clock}`;
}

function right(value: string | number, width: number): string {
  return String(value).padStart(width);
}
