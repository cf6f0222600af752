/// Calls of the operating system report errors: a module that imports Platform gets Messages, too.
@_exported public import Messages
