/** `hlsim calibrate`: fits parameters of the time model to measured points. */
import { Command } from 'commander';
import { calibrate } from '../../timing/calibration/calibrate.ts';
import { HOLDOUT_FORMS, parseHoldout } from '../../timing/calibration/holdout.ts';
import { writeParameterFile } from '../../timing/calibration/parameter-file.ts';
import { LIMITS, MODEL_WORDS, type ModelWord } from '../../timing/experiment/experiment.ts';
import { Prover } from '../../timing/experiment/proof.ts';
import { SLOTS_DEFAULT } from '../../timing/sweep.ts';
import { textFile } from '../calibrate-files.ts';
import { drawCalibration } from '../calibrate-plot.ts';
import { readPoints } from '../calibrate-points.ts';
import { calibrationJson, calibrationText } from '../calibrate-report.ts';
import { jsonFileFlag } from '../common-flags.ts';
import type { CommandContext } from '../context.ts';
import { addFlags, type FlagValues, optional, readFlags, required, withDefault } from '../flags.ts';
import { openJsonFile } from '../json-file.ts';
import { InputFiles } from '../predict-inputs.ts';
import { integer, oneOf, type Reader, text } from '../readers.ts';
import { readTopologyOf } from '../topology-input.ts';
import { counted } from '../wording.ts';

const FITTED_MAX = 12;

const parameterNames: Reader<readonly string[]> = {
  expected: `1 to ${FITTED_MAX} names of parameters with commas between, such as scaleUp.efficiency or alpha,beta`,
  read(given) {
    const names = given.split(',').map((name) => name.trim());
    return names.length <= FITTED_MAX && names.every((name) => /^[A-Za-z][\w.]*$/.test(name))
      ? names
      : undefined;
  },
};

const calibrateFlags = {
  topology: required({
    name: 'topology',
    value: '<name|file>',
    description: 'whose parameters: a built-in topology, or a file (hlsim topo)',
    reader: text('the name of a topology or a file'),
  }),
  fit: required({
    name: 'fit',
    value: '<names>',
    description:
      'parameters to fit, with commas between; alpha, beta and gamma stand for the one latency and rate of the links, and rate of reductions',
    reader: parameterNames,
    environment: 'HLSIM_CALIBRATE_FIT',
  }),
  holdout: optional({
    name: 'holdout',
    value: '<rule>',
    description: `points that the fit does not see, to tell the accuracy by: ${HOLDOUT_FORMS}`,
    reader: text('a rule'),
    environment: 'HLSIM_CALIBRATE_HOLDOUT',
  }),
  model: withDefault('flow', {
    name: 'model',
    value: '<name>',
    description: `how messages share links: ${Object.keys(MODEL_WORDS).join(', ')}`,
    reader: oneOf(Object.keys(MODEL_WORDS) as ModelWord[]),
  }),
  slots: withDefault(String(SLOTS_DEFAULT), {
    name: 'slots',
    value: '<n>',
    description: 'slices of a connection that are under way or not yet taken',
    reader: integer(1, LIMITS.slots),
  }),
  output: optional({
    name: 'output',
    value: '<file>',
    description: 'write the parameters to this YAML file, for hlsim step --parameters',
    reader: text('a file name'),
    environment: 'HLSIM_CALIBRATE_OUTPUT',
  }),
  json: jsonFileFlag,
  svg: optional({
    name: 'svg',
    value: '<file>',
    description: 'draw measured and predicted times',
    reader: text('a file name'),
    environment: 'HLSIM_CALIBRATE_SVG',
  }),
} as const;

type CalibrateFlagValues = FlagValues<typeof calibrateFlags>;

export function calibrateCommand(context: CommandContext): Command {
  const command = new Command('calibrate')
    .description('Fit parameters of a topology to measured times, and tell the error on others')
    .argument(
      '<points>',
      'CSV file: algorithm (or schedule), collective, ranks, size, time_us, ...',
    );
  addFlags(command, calibrateFlags).addHelpText(
    'after',
    `
The points are a CSV file with a line of names: algorithm or schedule (the path of an MSCCL XML file beside
the CSV), collective, ranks, size, time_us (or time with units), and if need be boxes, type, measure (latency, or
bandwidth: of each of many calls back to back), channels, chunks, slice.

Examples:
  hlsim calibrate points-machine-ws.csv --topology machine --fit process.turn,machine.rate --holdout 'ranks=3,8;algorithm!=ring'
  hlsim calibrate gaudi2.csv --topology hls2 --fit scaleUp.efficiency --output hls2.params.yaml
  hlsim calibrate points.csv --topology flat --model alpha-beta --fit alpha,beta --holdout every=5 --svg fit.svg`,
  );
  return command.action(async (points: string) => {
    await run(points, readFlags(command, calibrateFlags), context);
  });
}

async function run(path: string, flags: CalibrateFlagValues, context: CommandContext) {
  const { terminal } = context;
  const json = flags.json === undefined ? undefined : openJsonFile(flags.json);
  const output = textFile('output', flags.output);
  const svg = textFile('svg', flags.svg);
  const holdout = flags.holdout === undefined ? undefined : parseHoldout(flags.holdout);
  const topology = await readTopologyOf(flags.topology, new InputFiles('.'));
  const points = await readPoints(path);
  const calibration = calibrate(
    {
      topology,
      points,
      fit: flags.fit,
      holdout,
      model: MODEL_WORDS[flags.model],
      slotsPerConnection: flags.slots,
      progress: (predictions) =>
        terminal.progress(
          `Fitting: ${counted(points.length, 'point')}, ${counted(predictions, 'try', 'tries')}`,
        ),
    },
    new Prover(),
  );
  const inputs = { pointsFile: path, topology, model: flags.model, holdout: flags.holdout };
  terminal.result(calibrationText(calibration, inputs));
  json?.write(calibrationJson(calibration, inputs));
  svg?.(drawCalibration(calibration, inputs));
  const { fitted, accuracy } = calibration;
  const { name } = topology;
  output?.(
    writeParameterFile({ topology: name, model: flags.model, pointsFile: path, fitted, accuracy }),
  );
}
