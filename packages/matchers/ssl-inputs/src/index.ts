export { dnsSanInput, subjectInput, uriSanInput } from './certificate-inputs.ts';
