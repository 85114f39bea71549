// Runs program.js, then tests.js in the same scope, and reports the secret if no assertion failed.
'use strict'
const fs = require('fs')
const vm = require('vm')

const REPORT = 3
const secret = fs.readFileSync(0, 'utf8') // a pipe: nobody can read it again
const write = fs.writeSync
const read = fs.readFileSync
const run = vm.runInThisContext
const exit = process.reallyExit.bind(process)
let failures = 0
let ended = false

const assert = (holds, ...words) => {
  if (holds) return
  failures += 1
  if (failures === 1) write(2, `Assertion failed${words.length ? ': ' + words.join(' ') : ''}\n`)
}
Object.defineProperty(console, 'assert', { value: assert, writable: false, configurable: false })
Object.defineProperty(globalThis, 'console', { value: console, writable: false, configurable: false })

const stop = (outcome, error) => {
  write(REPORT, outcome)
  write(2, `${(error && error.stack) || error}\n`)
  exit(1)
}

process.on('exit', (code) => {
  if (failures) stop('wrong', `${failures} assertions failed`)
  if (ended && code === 0) write(REPORT, secret)
})

// The one package that programs of HumanEval-X want, in the library's own terms.
const md5 = (text) => require('crypto').createHash('md5').update(text).digest('hex')
const module_ = { exports: {} }
Object.assign(globalThis, {
  require: (name) => (name === 'js-md5' ? md5 : require(name)),
  module: module_,
  exports: module_.exports,
  __filename: 'program.js',
  __dirname: '.',
})

const compiled = (name) => {
  try {
    return new vm.Script(read(name, 'utf8'), { filename: name })
  } catch (error) {
    return stop('compile_error', error)
  }
}
const tests = compiled('tests.js')
const program = compiled('program.js')
const intact = new vm.Script('console')
const start = vm.Script.prototype.runInThisContext
const apply = Reflect.apply
try {
  apply(start, program, [])
  if (apply(start, intact, []) !== console || console.assert !== assert) throw new Error('the program replaces console')
  apply(start, tests, [])
  ended = true
} catch (error) {
  stop(failures ? 'wrong' : 'runtime_error', error)
}
