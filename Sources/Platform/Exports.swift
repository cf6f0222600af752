/// Whatever asks the operating system has its errors to report: who imports Platform has Messages, too.
@_exported public import Messages
