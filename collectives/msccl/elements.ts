/**
 * The elements of an XML text, one after the other, with bounded memory whatever the text is. It is
 * stricter than XML: no document type (and so no entities but the five of XML), no text, no CDATA.
 */
import sax, { type Tag } from 'sax';
import { quoted, unreadable } from './unreadable.ts';

/** An element's tag and where it began. */
export interface Element {
  readonly name: string;
  readonly attributes: Readonly<Record<string, string>>;
  /** From 1. */
  readonly line: number;
}

export interface ElementReader {
  open(element: Element): void;
  close(name: string): void;
}

/** Elements within elements; the format needs 4. */
const DEPTH_MAX = 8;
/** Attributes of one element; the format has at most 12. */
const ATTRIBUTES_MAX = 64;
/** Characters that are given to the parser at a time. */
const PIECE_LENGTH = 1 << 16;

/** @throws HlsimError `HLSIM_PROGRAM_UNREADABLE` for anything that is not well-formed */
export function readElements(text: string, reader: ElementReader): void {
  new ElementStream(text, reader).run();
}

class ElementStream {
  readonly #text: string;
  readonly #reader: ElementReader;
  readonly #parser = sax.parser(true, { position: true });
  /** Line on which the current tag began. */
  #line = 1;
  #depth = 0;
  #attributes: Record<string, string> = {};
  #count = 0;

  constructor(text: string, reader: ElementReader) {
    this.#text = text;
    this.#reader = reader;
    const parser = this.#parser;
    parser.onerror = (error) => {
      const [complaint = ''] = error.message.split('\n');
      throw unreadable(this.#here(), `Expected XML but found: ${complaint}`, error);
    };
    parser.ondoctype = () => this.#refuse('a document type');
    parser.onopencdata = () => this.#refuse('CDATA');
    parser.ontext = (found) => {
      if (found.trim() !== '') this.#refuse(`the text ${quoted(found.trim())}`);
    };
    let open: Tag | undefined;
    parser.onopentagstart = (tag) => {
      open = tag as Tag;
      this.#start();
    };
    parser.onattribute = ({ name, value }) => {
      // The parser's own would be confused by names like hasOwnProperty, and drop what comes twice.
      delete open?.attributes[name];
      this.#addAttribute(name, value);
    };
    parser.onopentag = ({ name }) => {
      reader.open({ name, attributes: this.#attributes, line: this.#line });
    };
    parser.onclosetag = (name) => {
      this.#depth--;
      this.#reader.close(name);
    };
  }

  run(): void {
    for (let start = 0; start < this.#text.length; start += PIECE_LENGTH) {
      this.#parser.write(this.#text.slice(start, start + PIECE_LENGTH));
    }
    this.#parser.close();
  }

  #start(): void {
    this.#line = this.#here();
    this.#attributes = Object.create(null) as Record<string, string>;
    this.#count = 0;
    this.#depth++;
    if (this.#depth > DEPTH_MAX) this.#refuse(`more than ${DEPTH_MAX} elements within each other`);
  }

  #addAttribute(name: string, value: string): void {
    this.#count++;
    if (this.#count > ATTRIBUTES_MAX) this.#refuse(`more than ${ATTRIBUTES_MAX} attributes`);
    if (name in this.#attributes) this.#refuse('an attribute twice in one tag');
    this.#attributes[name] = value;
  }

  #refuse(found: string): never {
    throw unreadable(this.#here(), `Expected elements of MSCCL XML and no more but found ${found}`);
  }

  #here(): number {
    return this.#parser.line + 1;
  }
}
