/* A hardware manager in C: one clean step, which asks the other managers for a fact.
 *
 *   cc -std=c11 -O2 -fPIC -shared -fvisibility=hidden -o libacme_c.so acme.c
 *
 * with -I plugin-api/include where the SDK is not installed.
 */
#include <stdio.h>

#include "ipa_plugin.h"

IPA_PLUGIN_MANIFEST(
    "{\"name\": \"acme_c\", \"class_name\": \"AcmeC\", \"version\": \"1.0.0\", \"api\": \"1.0.0\","
    " \"clean_steps\": [{\"step\": \"acme_c_blink\", \"priority\": 30, \"abortable\": true, \"argsinfo\":"
    "   {\"times\": {\"description\": \"How often the light blinks\", \"required\": false}}}]}");

static const struct ipa_host *host;

static void *create(const struct ipa_host *given, const char *config, size_t length, struct ipa_reply *error) {
    (void)config, (void)length, (void)error;
    host = given;
    return &host;
}

static struct ipa_reply evaluate(void *manager, uint64_t call) {
    (void)manager, (void)call;
    return ipa_reply_of(IPA_VALUE, IPA_SUPPORT_SERVICE_PROVIDER);
}

/* Which machine this is, by the managers below this one. Freed by the host's free_reply. */
static struct ipa_reply vendor(uint64_t call) {
    static const char method[] = "dispatch", arguments[] = "{\"method\": \"get_system_vendor_info\", \"args\": {}}";
    return host->host_call(host->context, call, method, sizeof method - 1, arguments, sizeof arguments - 1);
}

/* Lets the light blink, unless it is told to stop. */
static struct ipa_reply blink(uint64_t call) {
    for (uint32_t done = 0; done < 4; done++) {
        if (host->is_cancelled(host->context, call)) {
            return ipa_reply_of(IPA_CANCELLED, "{\"type\": \"CleaningError\", \"details\": \"the light is dark again\"}");
        }
        host->progress(host->context, call, done * 25, "blinking", strlen("blinking"));
    }
    struct ipa_reply machine = vendor(call);
    int known = machine.code == IPA_VALUE && machine.length <= 4096;
    char value[4200];
    snprintf(value, sizeof value, "{\"blinked\": 4, \"machine\": %.*s}", known ? (int)machine.length : 4,
             known ? (const char *)machine.body : "null");
    host->free_reply(host->context, machine);
    host->log(host->context, call, IPA_LOG_INFO, "the light has blinked", strlen("the light has blinked"), NULL, 0);
    return ipa_reply_of(IPA_VALUE, value);
}

static struct ipa_reply call(void *manager, uint64_t number, const char *method, size_t method_length,
                             const char *arguments, size_t arguments_length) {
    (void)manager, (void)arguments, (void)arguments_length;
    if (ipa_is(method, method_length, "acme_c_blink")) {
        return blink(number);
    }
    return ipa_reply_of(IPA_ABSENT, "null");
}

static struct ipa_reply destroy(void *manager) {
    (void)manager;
    return ipa_reply_of(IPA_VALUE, "null");
}

const struct ipa_plugin ipa_plugin_c1 = {
    .size = sizeof(struct ipa_plugin),
    .abi = IPA_PLUGIN_ABI,
    .create = create,
    .evaluate = evaluate,
    .call = call,
    .destroy = destroy,
    .free_reply = ipa_reply_free,
};
