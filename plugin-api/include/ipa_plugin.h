/* The C entry of hardware managers for ipa-host, the bare-metal agent for OpenStack Ironic.
 *
 * A plugin is a shared object that defines
 *
 *   - a manifest, by IPA_PLUGIN_MANIFEST: what it is, and which methods and steps it has; and
 *   - the symbol ipa_plugin_c1, of type const struct ipa_plugin: its functions.
 *
 * It sees what a plugin in Rust sees: the same calls with the same JSON, described with their arguments in the crate
 * documentation of ipa-plugin-api. It runs in a process of its own; what it prints becomes log lines of the agent.
 *
 * Text is UTF-8 with its length in bytes, and does not end with a zero byte unless it says so. All of this is frozen
 * for major version 1: structures only grow at their ends, and `size` tells how far they reach.
 *
 * Build:  cc -std=c11 -O2 -fPIC -shared -fvisibility=hidden -o libacme.so acme.c
 * Look:   ipa-host plugins check libacme.so     (runs none of its code)
 */
#ifndef IPA_PLUGIN_H
#define IPA_PLUGIN_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Version of the structures in this file. */
#define IPA_PLUGIN_ABI 1

/* Codes of a reply. After ABSENT and INCOMPATIBLE the next manager is asked; all other errors end the search. */
enum {
    IPA_VALUE = 0,         /* the body is the value as JSON; null is a value */
    IPA_ABSENT = 1,        /* the manager has no such method */
    IPA_INCOMPATIBLE = 2,  /* the method does not fit this hardware */
    IPA_CONFIGURATION = 3, /* the manager's configuration is wrong */
    IPA_FAILED = 4,        /* the method failed */
    IPA_CANCELLED = 6,     /* the method ended because it was cancelled */
    IPA_BAD_ARGUMENTS = 7  /* the arguments do not fit the method */
};

/* Levels of log records. */
enum { IPA_LOG_CRITICAL, IPA_LOG_ERROR, IPA_LOG_WARNING, IPA_LOG_INFO, IPA_LOG_DEBUG, IPA_LOG_TRACE };

/* How well a manager fits the machine, as evaluate answers it; any other integer is allowed too. */
#define IPA_SUPPORT_NONE "0"
#define IPA_SUPPORT_GENERIC "1"
#define IPA_SUPPORT_MAINLINE "2"
#define IPA_SUPPORT_SERVICE_PROVIDER "3"

/* An answer. The body of an error is an object:
 *   {"type": "CleaningError", "code": 500, "message": "...", "details": "what was tried, on what, with what result"}
 * where only "type" must be there, and Ironic shows the message and the details. Where there is nothing to say the body
 * may be NULL: it counts as null. Who made a reply frees it, by the function beside the one that gave it. */
struct ipa_reply {
    uint32_t code;
    uint8_t *body;
    size_t length;
};

/* What a plugin can ask of the agent, from any thread. `call` is the number of the call during which it asks; outside
 * of calls 0 serves for log. The structure and all behind it stay until the process ends. */
struct ipa_host {
    size_t size;   /* of this structure, in bytes */
    uint32_t abi;  /* IPA_PLUGIN_ABI of the agent */
    void *context; /* the first argument of all functions */
    /* Writes a log record; `pairs` is a JSON object of strings, or NULL. */
    void (*log)(void *context, uint64_t call, uint32_t level, const char *message, size_t message_length,
                const char *pairs, size_t pairs_length);
    /* Tells how far a call is, in percent, and what it is doing. */
    void (*progress)(void *context, uint64_t call, uint32_t percent, const char *message, size_t message_length);
    /* Not 0 once a call should end. */
    uint32_t (*is_cancelled)(void *context, uint64_t call);
    /* Every other service by name, with a JSON object of arguments; blocks until it is answered. The table of services
     * stands at the end of this file. */
    struct ipa_reply (*host_call)(void *context, uint64_t call, const char *method, size_t method_length,
                                  const char *arguments, size_t arguments_length);
    /* Frees a reply of host_call. */
    void (*free_reply)(void *context, struct ipa_reply reply);
};

/* The functions of a plugin. None may let an exception out. evaluate and call may run at the same time on several
 * threads. */
struct ipa_plugin {
    size_t size;  /* sizeof(struct ipa_plugin) */
    uint32_t abi; /* IPA_PLUGIN_ABI */
    /* Makes the manager; `config` is a JSON object. NULL if that fails, with the reason in *error. */
    void *(*create)(const struct ipa_host *host, const char *config, size_t config_length, struct ipa_reply *error);
    /* Ranks the manager; the value is an integer. */
    struct ipa_reply (*evaluate)(void *manager, uint64_t call);
    /* Calls a method with a JSON object of arguments. */
    struct ipa_reply (*call)(void *manager, uint64_t call, const char *method, size_t method_length,
                             const char *arguments, size_t arguments_length);
    /* Ends the manager, after its last call has returned. */
    struct ipa_reply (*destroy)(void *manager);
    /* Frees a reply of the functions above. */
    void (*free_reply)(struct ipa_reply reply);
};

/* The plugin's own: define it with this name. */
__attribute__((visibility("default"))) extern const struct ipa_plugin ipa_plugin_c1;

/* A reply whose body is a copy of this text, which ends with a zero byte; ipa_reply_free frees it. */
static inline struct ipa_reply ipa_reply_of(uint32_t code, const char *json) {
    struct ipa_reply reply = {code, NULL, 0};
    size_t length = strlen(json);
    reply.body = (uint8_t *)malloc(length ? length : 1);
    if (reply.body) {
        memcpy(reply.body, json, length);
        reply.length = length;
    } else if (code == IPA_VALUE) {
        reply.code = IPA_FAILED;
    }
    return reply;
}

/* Frees what ipa_reply_of made: the free_reply of most plugins. */
static inline void ipa_reply_free(struct ipa_reply reply) { free(reply.body); }

/* Whether a method or text with a length is this one. */
static inline int ipa_is(const char *text, size_t length, const char *expected) {
    return strlen(expected) == length && memcmp(text, expected, length) == 0;
}

#ifdef __cplusplus
}
#endif

/* The manifest, a string literal with a JSON object:
 *   "name", "class_name", "version"   required; see `ipa-host plugins check` for what they are
 *   "api"                             required: the version of this interface, "1.0.0"
 *   "methods"                         names of the methods that the manager answers besides its steps
 *   "clean_steps", "deploy_steps", "service_steps"
 *                                     [{"step": "acme_wipe", "priority": 0, "interface": "deploy",
 *                                       "reboot_requested": false, "abortable": true, "deadline_s": 600,
 *                                       "argsinfo": {"name": {"description": "...", "required": true}}}]
 *   "tools"                           programs that it runs
 *   "dynamic"                         true if it answers methods that are not listed here
 *
 * The agent reads it without running the plugin, and offers the steps that it lists. Once, at file scope of a C file;
 * the rest of a plugin may be C++. */
#ifndef __cplusplus
#if defined(__has_attribute)
#if __has_attribute(nonstring)
#define IPA_NONSTRING __attribute__((nonstring))
#endif
#endif
#ifndef IPA_NONSTRING
#define IPA_NONSTRING
#endif
#define IPA_PLUGIN_MANIFEST(json)                                                               \
    __attribute__((section(".note.ipa.plugin"), used, aligned(4))) static const struct {        \
        uint32_t owner_size, description_size, type;                                            \
        char owner[4];                                                                          \
        char description[(sizeof(json) - 1 + 3) / 4 * 4] IPA_NONSTRING;                         \
    } ipa_plugin_note = {4, sizeof(json) - 1, 1, "IPA", json}
#endif

/* Services of host_call, with their arguments and values:
 *
 *   dispatch       {"method": "get_cpus", "args": {}}   what the first manager that has the method answers
 *   call_next      {"method": "...", "args": {}}        the same among the managers below this one
 *   dispatch_all   {"method": "...", "args": {}}        [{"class_name": "...", "value": ...}] of all that have it
 *   config         {}                                   the section [plugin:NAME] of the configuration, as an object
 *   kernel_params  {}                                   {"name": "value"} of the kernel line and virtual media
 *   node           {}                                   the node as Ironic describes it, or null
 *   refresh_node   {}                                   the same, looked up again
 *   http_get       {"url": "https://...", "limit": 65536, "deadline_ms": 10000}
 *                                                       a page: {"status": 200, "text": "..."}
 *   attach_log     {"name": "raid.log", "text": "..."}  a file for the logs that Ironic collects; "path" instead of
 *                                                       "text" has a file read
 *   command_start  {"argv": ["hdparm", "-I", "/dev/sda"], "env": {}, "stdin": null, "cwd": null, "deadline_ms": 60000}
 *                                                       {"handle": 1}: a program; it dies with the call
 *   command_read   {"handle": 1, "wait_ms": 1000}       {"lines": [{"stream": "stdout", "line": "..."}], "exit": null},
 *                                                       and once it has ended "exit": {"code": 0, "signal": null,
                                                       "timed_out": false, "stdout": "...", "stderr": "..."}
 *   command_stop   {"handle": 1}                        ends it
 */

#endif
