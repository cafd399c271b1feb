/** docker-compose.yml as an engine reads it: variables filled in, anchors merged. */
import { readFileSync } from 'node:fs';
import { parse } from 'yaml';

const FILE = new URL('../../docker-compose.yml', import.meta.url);
const IMAGE = new URL('../../Dockerfile', import.meta.url);

export interface ComposeService {
  readonly image?: string;
  readonly command: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  readonly depends_on?: Readonly<Record<string, { readonly condition: string }>>;
  readonly deploy?: { readonly replicas: number };
  readonly healthcheck?: { readonly test?: readonly string[]; readonly disable?: boolean };
  readonly ports?: readonly string[];
  readonly profiles?: readonly string[];
  readonly container_name?: string;
  readonly hostname?: string;
  readonly init?: boolean;
  readonly stop_grace_period?: string;
}

export interface ComposeFile {
  readonly services: Readonly<Record<string, ComposeService>>;
  readonly version?: string;
}

/** The text before variables are filled in. */
export function composeText(): string {
  return readFileSync(FILE, 'utf8');
}

/** `${NAME}` and `${NAME:-default}` (compose-spec, interpolation), then YAML with merge keys. */
export function readCompose(variables: Readonly<Record<string, string>>): ComposeFile {
  const text = composeText().replace(
    /\$\{(\w+)(?::-([^}]*))?\}/g,
    (_, name: string, fallback: string | undefined) => variables[name] || (fallback ?? ''),
  );
  return parse(text, { merge: true });
}

/** A JSON instruction of the image's last stage: `ENTRYPOINT`, the command of `HEALTHCHECK`. */
export function imageInstruction(name: 'ENTRYPOINT' | 'HEALTHCHECK'): string[] {
  const stage =
    readFileSync(IMAGE, 'utf8')
      .split(/^FROM /m)
      .at(-1) ?? '';
  const match = new RegExp(`^${name}.*?(\\[.*\\])$`, 'm').exec(stage);
  if (match === null) throw new Error(`Expected ${name} in the last stage of the Dockerfile`);
  return JSON.parse(match[1] ?? '');
}

/** The image's text, for what must or must not be in it. */
export function dockerfile(): string {
  return readFileSync(IMAGE, 'utf8');
}
